"""A Chromium without a window, driven over a pipe: what a person does at a page, and what they would see.

Knows nothing of the vault. Keys are pressed and text is typed as a keyboard does; a page's own scripts are not
needed, and what is asked of a page is asked from outside of it.

Source: Chrome DevTools Protocol, tot; `--remote-debugging-pipe`: JSON, each message ended by a zero byte.
"""

import base64
import fcntl
import json
import os
import pathlib
import select
import subprocess
import tempfile
import time

PATIENCE = 60.0
# Keys by name: code, key, virtual key code, text.
KEYS = {"Tab": ("Tab", 9, None), "Enter": ("Enter", 13, "\r"), "Space": (" ", 32, " ")}
SHIFT = 8


class Browser:
    """One page of one browser with a profile of its own, which goes with it."""

    def __init__(self, program):
        self.home = tempfile.TemporaryDirectory(prefix="vault-chromium-")
        self.downloads = pathlib.Path(self.home.name) / "downloads"
        self.downloads.mkdir()
        to_browser, self.to = os.pipe()
        self.come, from_browser = os.pipe()
        # Above what the browser is told to use, so that neither is overwritten by the other.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in (to_browser, from_browser)]
        for end in (to_browser, from_browser):
            os.close(end)

        def hand_over():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        flags = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --lang=en --accept-lang=en"
        command = [program, *flags.split(), "--remote-debugging-pipe", f"--user-data-dir={self.home.name}/profile", "about:blank"]
        self.process = subprocess.Popen(command, preexec_fn=hand_over, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        for end in ends:
            os.close(end)
        self.number, self.rest, self.events, self.session = 0, b"", [], None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        # As if its window were the one that somebody looks at.
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        self.wide()
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        answer = self._until(lambda one: one.get("id") == self.number, method)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def _read(self, until):
        """The next message, or nothing when the time is over."""
        while b"\0" not in self.rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.come], [], [], left)[0]:
                return None
            part = os.read(self.come, 1 << 16)
            if not part:
                raise AssertionError("the browser has ended")
            self.rest += part
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def _until(self, wanted, what):
        end = time.monotonic() + PATIENCE
        while True:
            one = self._read(end)
            if one is None:
                raise AssertionError(f"nothing came of {what} within {PATIENCE:.0f} s")
            if "method" in one:
                self.events.append(one)
            if wanted(one):
                return one

    def _event(self, method, since, fits=lambda params: True):
        """The first event of this name after `since`, which may have come already."""
        is_it = lambda one: one.get("method") == method and fits(one["params"])
        found = next(filter(is_it, self.events[since:]), None)
        return (found or self._until(is_it, method))["params"]

    def _going(self, act):
        """Does what leads to another page, and waits until that is there; the last answer that came for it."""
        since = len(self.events)
        act()
        self._event("Page.loadEventFired", since)
        return self.answers(since)[-1]

    def answers(self, since=0):
        """What came for documents since then, each with `status` and `headers`."""
        came = [one["params"] for one in self.events[since:] if one.get("method") == "Network.responseReceived"]
        answers = [one["response"] for one in came if one["type"] == "Document"]
        return [{**one, "headers": {name.lower(): value for name, value in one["headers"].items()}} for one in answers]

    def open(self, url):
        return self._going(lambda: self.call("Page.navigate", url=url))

    def press(self, key, shift=False):
        name, number, text = KEYS[key]
        press = {"key": name, "code": key, "windowsVirtualKeyCode": number, "modifiers": SHIFT if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **press, **({"text": text} if text and not shift else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **press)

    def go(self, key="Enter"):
        """Presses a key that leads to another page."""
        return self._going(lambda: self.press(key))

    def type(self, text):
        self.call("Input.insertText", text=text)

    def send(self, text):
        """Types into what has the focus, and presses Enter."""
        self.type(text)
        return self.go()

    def download(self):
        """Presses Enter on what ends in a file: its answer, name and bytes."""
        since = len(self.events)
        self.press("Enter")
        began = self._event("Browser.downloadWillBegin", since)
        mine = lambda one: one["guid"] == began["guid"] and one["state"] != "inProgress"
        ended = self._event("Browser.downloadProgress", since, mine)
        assert ended["state"] == "completed", ended
        name = began["suggestedFilename"]
        return self.answers(since)[-1], name, (self.downloads / name).read_bytes()

    def ask(self, expression):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def comes(self, expression):
        """Whether an expression comes to be true: what a browser does once it has drawn a page, it does a moment later."""
        end = time.monotonic() + 5
        while not self.ask(expression):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def text(self):
        return self.ask("document.body.innerText")

    def shows_focus(self, what):
        """Whoever goes by keyboard has to see where they are."""
        assert self.ask("getComputedStyle(document.activeElement).outlineStyle") != "none", f"{what}: no focus to be seen"

    def reach(self, label, backwards=False):
        """Goes from one thing to the next with Tab, as far as the one with this label."""
        for _ in range(60):
            found = self.ask("(one => one === document.body ? '' : one.labels?.[0]?.innerText || one.innerText)(document.activeElement)")
            if label in (found or ""):
                return self.shows_focus(label)
            self.press("Tab", shift=backwards)
        raise AssertionError(f"no way to {label!r} by keyboard: {self.text()}")

    def speak(self, language):
        """What the browser says that its person reads."""
        agent = self.ask("navigator.userAgent")
        self.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    def narrow(self, width):
        """The screen of a telephone; how much wider than it the page is."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=740, deviceScaleFactor=2, mobile=True)
        return self.ask("document.documentElement.scrollWidth") - width

    def wide(self):
        """That of a desk."""
        self.call("Emulation.setDeviceMetricsOverride", width=1200, height=900, deviceScaleFactor=1, mobile=False)

    def complaints(self):
        """Errors and warnings of the browser's console: of scripts, of a policy, of what could not be loaded.

        That a page itself was answered with an error is none: `answers` has it."""
        found, pages = [], {answer["url"] for answer in self.answers()}
        counts = lambda entry: entry["level"] in ("warning", "error") and (entry["source"] != "network" or entry.get("url") not in pages)
        for one in self.events:
            params = one["params"]
            match one["method"]:
                case "Log.entryAdded" if counts(params["entry"]):
                    found.append(params["entry"])
                case "Runtime.exceptionThrown":
                    found.append(params["exceptionDetails"])
                case "Runtime.consoleAPICalled":
                    found.append(params)
        return found

    def picture(self, path):
        """The whole page as a file, for somebody to look at."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(timeout=PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self.to)
            os.close(self.come)
            self.home.cleanup()
