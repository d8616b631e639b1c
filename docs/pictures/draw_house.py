"""Draw house.svg and house-dark.svg, the diagram of the page "How it works".

python docs/pictures/draw_house.py
"""

from pathlib import Path

WIDTH, BOX, GAP, LEFT, RIGHT = 600, 66, 26, 20, 490
LIGHT = {
    "ink": "#222832",
    "soft": "#48566b",
    "box": "#f3f4f5",
    "line": "#0072b2",
    "loop": "#a34700",
}
DARK = {"ink": "#ced6dd", "soft": "#9ca4af", "box": "#29313d", "line": "#56b4e9", "loop": "#e69f00"}

STEPS = [  # title, what it does, where it lives
    ("Your rows", "a table, signals, texts or images, as they are", "containers"),
    ("Adapter", "learns to turn rows into numbers, and back", "domains"),
    ("Committee and voters", "for each row, models that have not seen it", "models"),
    ("Recipe", "plans for each new row: parents, start, radius", "sampling"),
    ("Attack", "raises an objective in a space of valid rows", "attacks, core"),
    ("Judge", "label and plausibility, after rounding", "sampling"),
    ("New rows", "your container and dtypes, below the real rows", "estimators"),
]
RECIPE, JUDGE = 3, 5


def top(step: int) -> int:
    return 10 + step * (BOX + GAP)


def text(x: int, y: int, words: str, colour: str, size: int, extra: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" font-size="{size}"{extra}>{words}</text>'


def box(step: int, colours: dict[str, str]) -> str:
    title, about, folder = STEPS[step]
    y = top(step)
    return "\n".join(
        [
            f'<rect x="{LEFT}" y="{y}" width="{RIGHT - LEFT}" height="{BOX}" rx="6" '
            f'fill="{colours["box"]}" stroke="{colours["line"]}" stroke-width="1.5"/>',
            text(LEFT + 16, y + 28, title, colours["ink"], 18, ' font-weight="bold"'),
            text(LEFT + 16, y + 52, about, colours["soft"], 16),
            text(RIGHT - 14, y + 26, folder, colours["line"], 14, ' text-anchor="end"'),
        ]
    )


def arrow(step: int, colours: dict[str, str]) -> str:
    x, y = (LEFT + RIGHT) // 2, top(step) + BOX
    return (
        f'<path d="M{x} {y + 2}V{y + GAP - 8}" stroke="{colours["line"]}" stroke-width="2"/>'
        f'<path d="M{x - 6} {y + GAP - 9}h12l-6 8z" fill="{colours["line"]}"/>'
    )


def loop(colours: dict[str, str]) -> str:
    low, high, x = top(JUDGE) + BOX // 2, top(RECIPE) + BOX // 2, RIGHT + 26
    middle = (low + high) // 2
    line = f'fill="none" stroke="{colours["loop"]}" stroke-width="2"'
    return "\n".join(
        [
            f'<path d="M{RIGHT + 2} {low}H{x}V{high}H{RIGHT + 10}" {line}/>',
            f'<path d="M{RIGHT + 11} {high - 6}v12l-9 -6z" fill="{colours["loop"]}"/>',
            *(
                text(x + 8, middle + 18 * k, words, colours["loop"], 14)
                for k, words in enumerate(["rejected:", "again"])
            ),
        ]
    )


def house(colours: dict[str, str]) -> str:
    height = top(len(STEPS) - 1) + BOX + 10
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" role="img">',
            "<title>From your rows to new rows</title>",
            *(box(step, colours) for step in range(len(STEPS))),
            *(arrow(step, colours) for step in range(len(STEPS) - 1)),
            loop(colours),
            "</svg>\n",
        ]
    )


def main(folder: Path = Path(__file__).parent) -> None:
    (folder / "house.svg").write_text(house(LIGHT))
    (folder / "house-dark.svg").write_text(house(DARK))


if __name__ == "__main__":
    main()
