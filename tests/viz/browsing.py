"""A page in a real browser, headless Chromium: typed into, clicked on, and what it asks for and says on its console."""
from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb")
WAIT_S = 100     # Selenium itself gives up after 120


class Chromium:
    """A browser with the film's page; `driver` is Selenium's."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def cdp(self, command: str, **parameters: Any) -> dict:
        return self.driver.execute_cdp_cmd(command, parameters)

    def open(self, fragment: str = "", width: int = 1024, height: int = 768, scripts: bool = True, dark: bool = False,
             media: str = "") -> "Chromium":
        """The page from the beginning."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 700)
        self.cdp("Emulation.setEmulatedMedia", media=media,
                 features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.driver.get("about:blank")
        self.driver.get(self.url + fragment)
        end = monotonic() + WAIT_S
        while self.js("return document.readyState") != "complete":     # the driver of a busy browser may take a part for all
            assert monotonic() < end, f"{self.url} is not loaded after {WAIT_S} s"
        return self

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def keys(self, *keys: str) -> None:
        """Typed into what has the focus; each of `keys` held until the last is typed."""
        from selenium.webdriver import ActionChains
        *held, last = keys
        chain = ActionChains(self.driver)
        for key in held:
            chain.key_down(key)
        chain.send_keys(last)
        for key in held:
            chain.key_up(key)
        chain.perform()

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    @property
    def shown(self) -> list[int]:
        """The steps that can be seen, from 1."""
        return self.js("return [...document.querySelectorAll('.step')]"
                       ".flatMap((s, i) => s.checkVisibility() ? [i + 1] : [])")

    @property
    def fragment(self) -> str:
        return self.js("return location.hash")

    def until(self, condition: str) -> None:
        """Waits for a condition, looked at whenever the page changes, and with each frame that the browser draws of it."""
        self.driver.set_script_timeout(WAIT_S)
        self.driver.execute_async_script(f"""
            const done = arguments[0], holds = () => {condition};
            const observer = new MutationObserver(look);
            let over = false;
            function look() {{
                if (!over && holds()) {{ over = true; observer.disconnect(); done(); }}
                return over;
            }}
            function draw() {{ look() || requestAnimationFrame(draw); }}
            observer.observe(document, {{subtree: true, childList: true, attributes: true, characterData: true}});
            draw();""")

    def kept(self, folder: Path, name: str, act: Callable[[], object]) -> bytes:
        """What of a file of that name comes into `folder` when `act` has been done."""
        self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        act()
        end = monotonic() + WAIT_S
        # The browser may hold the name with an empty file, and gives it to the one with something in it when that is complete.
        while not (folder / name).exists() or not (folder / name).stat().st_size:
            assert monotonic() < end, f"no {name} among {[one.name for one in folder.iterdir()]}"
            self.js("return 0")
        return (folder / name).read_bytes()

    def asked(self) -> list[str]:
        """What the page has asked for since the last look; not the browser's own start page, nor what a picture of its own is read from."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"
                and e["params"]["documentURL"].startswith(self.url) and not e["params"]["request"]["url"].startswith("data:")]

    def log(self, kind: str) -> list[dict]:
        return self.driver.get_log(kind)


def contrasts(chromium: Chromium) -> list[tuple[float, str]]:
    """WCAG 2.1's ratio of each text that is shown to what is behind it, with the text."""
    return chromium.js("""
        const channels = c => c.match(/[\\d.]+/g).map(Number);
        const linear = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
        const light = c => { const [r, g, b] = channels(c).map(linear); return .2126 * r + .7152 * g + .0722 * b; };
        const seen = c => c.startsWith('rgb') && channels(c)[3] !== 0;
        function behind(e) {
            for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (seen(c)) return c; }
            return 'rgb(255, 255, 255)';
        }
        function underneath(text) {
            const b = text.getBoundingClientRect();
            for (const e of document.elementsFromPoint(b.x + b.width / 2, b.y + b.height / 2)) {
                const c = getComputedStyle(e).fill;
                if (e.ownerSVGElement && e !== text && e.tagName !== 'text' && e.tagName !== 'tspan' && seen(c)) return c;
                if (!e.ownerSVGElement && e.tagName !== 'svg') break;
            }
            return behind(text.closest('figure'));
        }
        const found = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const e = walker.currentNode.parentElement, said = walker.currentNode.data.trim();
            if (!said || !e.checkVisibility()
                || e.closest('.unseen, .skip, script, style, title, desc, noscript, option')) continue;
            const [ink, ground] = e.closest('svg') ? [getComputedStyle(e).fill, underneath(e)]
                                                   : [getComputedStyle(e).color, behind(e)];
            const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
            found.push([(a + .05) / (b + .05), `${said} (${ink} on ${ground})`]);
        }
        return found;""")


def size_pt(svg: bytes) -> tuple[int, int]:
    """Width and height, as an SVG document says them."""
    _, _, width, height = re.search(rb'viewBox="([^"]+)"', svg)[1].split()
    return round(float(width)), round(float(height))


def is_png(png: bytes, svg: bytes) -> None:
    """Whether a PNG file (RFC 2083) is as large as the SVG in twice the pixels of CSS, and has something on it."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(png[at:at + 4], "big") for at in (16, 20))
    assert all(abs(n - 2 * points * 96 / 72) < 3 for n, points in zip((width, height), size_pt(svg)))
    assert len(png) > 10_000


def printed(one: Chromium, button: str) -> tuple[int, int]:
    """What comes on paper when a button asks for the print dialogue: one page, and its width and height in pt. Headless, there is no
    dialogue: what it would print is printed in its place."""
    one.js("window.print = () => { window.asked = document.title; }")
    one.click(button)
    assert one.js("return window.asked")
    pdf = base64.b64decode(one.cdp("Page.printToPDF", preferCSSPageSize=True)["data"])
    one.js("dispatchEvent(new Event('afterprint'))")
    [(width, height)] = re.findall(rb"/MediaBox \[0 0 ([.\d]+) ([.\d]+)\]", pdf)
    assert len(re.findall(rb"/Type /Page\b(?!s)", pdf)) == 1 and b"/Font" in pdf
    return round(float(width)), round(float(height))


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A browser with a profile of its own: Selenium's driver."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        pytest.fail("python3-selenium: expected, found nothing; try scripts/setup test", pytrace=False)
    found: dict[str, str] = {}
    for what, names in {"chromium": ["chromium", "chromium-browser", "google-chrome"], "chromedriver": ["chromedriver"]}.items():
        path = next((there for name in names if (there := shutil.which(name))), None)
        if path is None:
            pytest.fail(f"{what}: expected on PATH, found nothing; try scripts/setup test", pytrace=False)
        found[what] = path
    options = webdriver.ChromeOptions()
    options.binary_location = found["chromium"]
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(service=Service(found["chromedriver"]), options=options)
    try:
        yield driver
    finally:
        driver.quit()
