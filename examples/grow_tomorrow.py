"""
Grow tomorrow: a generator in a file, and a net on fresh rows
=============================================================

A fitted sampler leaves a generator. It is saved to a file that holds no code, and makes any rows of
any class later, without X. A net of torch draws fresh rows of it in each step.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import torch
from sklearn.metrics import PrecisionRecallDisplay
from sklearn.model_selection import train_test_split
from torch import nn, optim

from advaug import AdversarialOverSampler, RowGenerator
from advaug.datasets import load_thyroid_sick
from advaug.demo import encoder
from advaug.torch_datasets import BalancedBatches

plt.style.use("advaug.data.pictures")

# %%
# Fit once on 600 patients, of whom 37 are sick, and save the generator.

X, y = load_thyroid_sick()
X, X_test, y, y_test = train_test_split(X, y, train_size=600, stratify=y, random_state=0)
with TemporaryDirectory() as folder:
    path = Path(folder) / "sick.advaug"
    AdversarialOverSampler(random_state=0).fit(X, y).generator_.save(path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    generator = RowGenerator.load(path)  # Tomorrow, on another machine, without X.
print(generator.rows("sick", 0, 3).iloc[:, :6].to_string())

# %%
# Train a net on a hundred balanced batches of new rows. No batch is seen twice. `encoder` knows the
# columns of this table; Getting started has one for any table.

columns = encoder().fit(X)


def tensor(rows):
    return torch.from_numpy(columns.transform(rows)).float().nan_to_num()


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(tensor(X).shape[1], 32), nn.SiLU(), nn.Linear(32, 2))
optimizer, loss = optim.AdamW(net.parameters(), lr=3e-3), nn.CrossEntropyLoss()
for rows, label in BalancedBatches(generator, 128, n_batches=100, transform=tensor).loader():
    optimizer.zero_grad()
    loss(net(rows), label).backward()
    optimizer.step()

# %%
# The net has seen new rows only; it is scored on real patients that no model has seen.

place = generator.classes.tolist().index("sick")
score = net(tensor(X_test)).detach().softmax(1)[:, place].numpy()
name = "net on new rows"
PrecisionRecallDisplay.from_predictions(y_test == "sick", score, name=name, plot_chance_level=True)
plt.show()
