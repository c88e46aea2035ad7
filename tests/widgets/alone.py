"""canvas.js in an empty page, with a small stand-in for the model that Jupyter would give it.

The traits are the real ones of the Python widget; what a hand sets comes back in `sent`.
"""

import base64
import json
from pathlib import Path
from typing import Any

from ipywidgets import Widget
from playwright.sync_api import Page

import detlab.widgets

FOLDER = Path(detlab.widgets.__file__).parent

PAGE = """
<!doctype html><html><body data-jp-theme-light="true" style="margin:0">
<style>%(css)s</style>
<style>#lab { width: 640px; padding: 0; margin: 0; border: 0; }</style>
<div id="lab" class="detlab-lab"></div>
<script type="module">
const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
window.sent = [];
window.begin = async (traits, data) => {
  const source = new Blob([%(js)s], { type: "text/javascript" });
  const module = (await import(URL.createObjectURL(source))).default;
  const values = { ...traits };
  for (const [name, text] of Object.entries(data)) values[name] = bytes(text);
  const heard = {};
  window.model = {
    get: (name) => values[name],
    set: (name, value) => {  // as Backbone does: whoever listens is told of a change at once
      window.sent.push([name, value]);
      if (JSON.stringify(values[name]) === JSON.stringify(value)) return;
      values[name] = value;
      (heard[`change:${name}`] ?? []).forEach((act) => act());
    },
    save_changes: () => {},
    send: (content) => { window.sent.push(["message", content]); },
    on: (event, act) => (heard[event] ??= []).push(act),
    off: (event, act) => { heard[event] = (heard[event] ?? []).filter((each) => each !== act); },
    listeners: () => Object.values(heard).flat().length,
    python: (name, value, encoded) => {  // what Python sets arrives like this
      values[name] = encoded ? bytes(value) : value;
      (heard[`change:${name}`] ?? []).forEach((act) => act());
    },
  };
  window.stop = module.render({ model: window.model, el: document.getElementById("lab") });
};
window.ready = true;
</script></body></html>
"""


class Alone:
    """The module in a page, with what it was told and what it says."""

    def __init__(self, page: Page, widget: Widget) -> None:
        self.page = page
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        script = json.dumps((FOLDER / "canvas.js").read_text()).replace("</", "<\\/")
        css = (FOLDER / "canvas.css").read_text()
        page.set_content(PAGE % {"css": css, "js": script})
        page.wait_for_function("window.ready")
        plain, data = {}, {}
        for name in widget.keys:
            value = getattr(widget, name)
            if isinstance(value, bytes):
                data[name] = base64.b64encode(value).decode()
            elif isinstance(value, bool | int | float | str | list | tuple):
                plain[name] = value
        page.evaluate("([traits, data]) => begin(traits, data)", [plain, data])
        self.wait_for_paint()

    def wait_for_paint(self) -> None:
        """Until the module has drawn what it was told: it draws with the browser's next frame."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    @property
    def sent(self) -> list[Any]:
        """Every (name, value) that a hand has set."""
        return list(self.page.evaluate("window.sent"))

    def last(self, name: str) -> Any:
        """What a trait was last set to."""
        return [value for trait, value in self.sent if trait == name][-1]

    def python_sets(self, name: str, value: Any) -> None:
        """Let the kernel change a trait."""
        encoded = isinstance(value, bytes)
        value = base64.b64encode(value).decode() if encoded else value
        self.page.evaluate("([n, v, e]) => model.python(n, v, e)", [name, value, encoded])
        self.wait_for_paint()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press, move, let go, in screen pixels."""
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.page.mouse.move(*end)
        self.page.mouse.up()
