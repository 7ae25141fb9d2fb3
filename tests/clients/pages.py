"""What people do in a browser: the chat page of `vault-cli dev`, and the pages of a link to pick a copy up.

Everything is done by keyboard, without a script of the page's own. Failure is a page on which somebody gets no
further, one that is wider than a telephone, anything in the browser's console, a text that became a part of the page,
and an answer that somebody else may keep.
"""

import html
import io
import os
import re
import time
import urllib.error
import urllib.request
import zipfile

from chromium import Browser

TELEPHONE = 360
LANGUAGES = ["de", "en", "es", "fr", "it", "nl", "pl", "pt"]
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
# Where somebody wants to look at the pages themselves.
PICTURES = os.environ.get("CLIENTS_PICTURES")


class Seat:
    """Somebody before a browser, and the mailbox of the invented person."""

    def __init__(self, vault, program):
        self.vault, self.browser, self.pictures = vault, Browser(program), 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.close()

    def looks(self, name):
        """What holds of every page: nothing in the console, nothing wider than a telephone, nothing run."""
        browser = self.browser
        assert not browser.complaints(), browser.complaints()
        assert browser.ask("document.querySelectorAll('script, img, iframe, [onerror], [onclick]').length") == 0
        if PICTURES:
            self.pictures += 1
            browser.picture(f"{PICTURES}/{name}-{self.pictures}-wide.png")
        wider = browser.narrow(TELEPHONE)
        if PICTURES:
            browser.picture(f"{PICTURES}/{name}-{self.pictures}-narrow.png")
        browser.wide()
        assert wider <= 0, f"{name}: {wider} px wider than {TELEPHONE}"

    def ready(self):
        assert self.browser.comes("document.activeElement.id === 'text'"), "whoever goes on writing has to look for the field"
        self.browser.shows_focus("the field")

    def begin(self):
        self.browser.open(self.vault.chat)
        self.ready()
        self.browser.reach("Begin a new conversation")
        self.browser.go()
        self.ready()

    def letters(self):
        page = urllib.request.urlopen(self.vault.chat).read().decode()
        return [html.unescape(code) for code in re.findall(r'<strong class="code">(.*?)</strong>', page)]

    def code(self, before):
        """The code that came since; the newest stands first."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            codes = self.letters()
            if codes != before:
                return codes[0]
            time.sleep(0.1)
        raise AssertionError("no code came")

    def say(self, text):
        self.ready()
        return self.browser.send(text)

    def find(self, label):
        """Goes from the field to what stands above it."""
        self.ready()
        self.browser.reach(label, backwards=True)

    def choose(self, label):
        self.find(label)
        return self.browser.go()

    def proved(self, wish):
        """Asks for something, and proves with a code who asks."""
        before = self.letters()
        self.say(wish)
        if "Verify" in self.browser.text():
            self.choose("Verify")
        self.choose("@")
        self.say(self.code(before))


def person(vault):
    """The invented person, who is called otherwise once they were deleted and brought back."""
    for user in ("demo", "demo-2"):
        try:
            return vault.call("POST", "/v1/subjects/lookup", {"channel": "web", "user": user})["subject"]
        except urllib.error.HTTPError as refused:
            assert refused.code == 410, refused
    raise AssertionError("nobody is there")


def is_sealed(answer, status):
    headers = answer["headers"]
    assert answer["status"] == status, answer["status"]
    assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer", headers
    assert headers["content-security-policy"].startswith("default-src 'none'"), headers
    assert "set-cookie" not in headers, headers


def cases(vault, program):
    def somebody_is_deleted_by_keyboard_alone_and_sees_the_receipt():
        with Seat(vault, program) as seat:
            browser = seat.browser
            seat.begin()
            seat.looks("delete")
            before = seat.letters()
            seat.say("delete me")
            seat.looks("delete")
            seat.choose("@")
            seat.looks("delete")
            seat.say(seat.code(before))
            seat.looks("delete")
            assert "Deleting cannot be undone" in browser.text(), browser.text()
            seat.choose("The request as the office sees it")
            assert '"type": "erase"' in browser.text(), browser.text()
            seat.looks("request")
            browser.reach("Back to the conversation")
            browser.go()
            seat.choose("Delete")
            assert "is deleted, but for this" in browser.text(), browser.text()
            seat.looks("delete")
            seat.choose("Show the receipt")
            assert "Receipt of an erasure" in browser.text(), browser.text()
            seat.looks("receipt")
            # Somebody new, who has not had their codes of this hour yet.
            browser.open(vault.chat)
            seat.ready()
            browser.reach("Bring Mila Example back")
            browser.go()
            seat.ready()
            assert "Mila Example is back" in browser.text(), browser.text()

    def what_somebody_writes_and_what_the_vault_says_is_text():
        path = f"/v1/subjects/{person(vault)}/records/profile"
        vault.call("PATCH", path, {"name": HOSTILE})
        with Seat(vault, program) as seat:
            seat.begin()
            answer = seat.say(HOSTILE)
            assert answer["headers"]["cache-control"] == "no-store", answer["headers"]
            assert "script-src" not in answer["headers"]["content-security-policy"]
            assert HOSTILE in seat.browser.text()
            seat.looks("text")
            seat.proved("what do you know about me?")
            assert seat.browser.text().count(HOSTILE) == 2, seat.browser.text()
            seat.looks("text")
        vault.call("PATCH", path, {"name": "Mila Example"})

    def a_copy_is_picked_up_once_and_a_second_use_is_told_and_noted():
        with Seat(vault, program) as seat:
            browser = seat.browser
            seat.begin()
            seat.proved("what do you know about me?")
            seat.looks("copy")
            seat.choose("Download everything")
            seat.looks("copy")
            before = seat.letters()
            seat.find("/pickup/")
            is_sealed(browser.go(), 200)
            link = browser.ask("location.href")
            assert link.startswith(f"{vault.url}/pickup/"), link
            seat.looks("pickup")
            for language in LANGUAGES:
                browser.speak(language)
                browser.open(link)
                assert browser.ask("document.documentElement.lang") == language, browser.text()
                seat.looks(f"pickup-{language}")
            browser.speak("en")
            browser.open(link)
            browser.reach("Send me a code")
            is_sealed(browser.go(), 200)
            seat.looks("pickup")
            right = seat.code(before)
            wrong = "111111" if right != "111111" else "222222"
            browser.reach("Code,")
            is_sealed(browser.send(wrong), 403)
            assert "That did not open" in browser.text(), browser.text()
            seat.looks("pickup")
            browser.reach("Code,")
            browser.type(right)
            answer, name, content = browser.download()
            is_sealed(answer, 200)
            assert re.fullmatch(r"personal-data-access-[\w-]+\.zip", name), name
            assert "Mila Example" in zipfile.ZipFile(io.BytesIO(content)).read("data.json").decode()
            # The page is still there, with the code in it.
            is_sealed(browser.go(), 410)
            assert "opened before" in browser.text(), browser.text()
            seat.looks("pickup")
            assert browser.call("Network.getCookies")["cookies"] == []
        incidents = vault.call("GET", "/v1/incidents", role="dpo")["incidents"]
        assert [one["vector"] for one in incidents] == ["link"], incidents

    def half_a_link_says_so():
        with Seat(vault, program) as seat:
            is_sealed(seat.browser.open(f"{vault.url}/pickup/half"), 404)
            assert "A part of this link is missing" in seat.browser.text()
            seat.looks("half")

    return [case for case in locals().values() if callable(case) and getattr(case, "__code__", None) and case.__code__.co_argcount == 0]
