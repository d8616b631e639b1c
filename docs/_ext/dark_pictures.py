"""The dark theme shows `name-dark.svg` in place of `name.svg`, where there is one."""

from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform


class DarkPictures(SphinxTransform):
    default_priority = 200  # before Sphinx collects the files of pictures

    def apply(self, **kwargs) -> None:
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for image in list(self.document.findall(nodes.image)):
            light = Path(image["uri"])
            dark = light.with_name(f"{light.stem}-dark{light.suffix}")
            if light.suffix == ".svg" and (folder / dark).exists():
                twin = image.copy()
                twin["uri"] = str(dark)
                twin["classes"].append("only-dark")
                image["classes"].append("only-light")
                image.replace_self([image.copy(), twin])


def setup(app) -> dict[str, bool]:
    app.add_transform(DarkPictures)
    return {"parallel_read_safe": True}
