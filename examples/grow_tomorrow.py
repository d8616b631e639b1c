"""Fit once, save the generator, and grow rows from the file; then train a net on fresh rows.

python examples/grow_tomorrow.py    writes sick.advaug, prints what the file is and the net's score
"""

from pathlib import Path

import torch
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from torch import nn, optim

from advaug import AdversarialOverSampler, RowGenerator
from advaug.datasets import load_thyroid_sick
from advaug.demo import encoder
from advaug.torch_datasets import BalancedBatches

PATH = Path("sick.advaug")


def main() -> None:
    X, y = load_thyroid_sick()
    X, X_test, y, y_test = train_test_split(X, y, train_size=600, stratify=y, random_state=0)
    AdversarialOverSampler(random_state=0).fit(X, y).generator_.save(PATH)

    generator = RowGenerator.load(PATH)  # Tomorrow, on another machine, without X.
    print(f"{PATH}: {PATH.stat().st_size / 1e6:.1f} MB, {generator}")
    print(generator.rows("sick", 0, 3).iloc[:, :6].to_string())

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
    score = net(tensor(X_test)).detach().softmax(1)[:, generator.classes.tolist().index("sick")]
    precision = average_precision_score(y_test == "sick", score)
    print(f"average precision of a net that saw new rows only: {precision:.3f}")


if __name__ == "__main__":
    main()
