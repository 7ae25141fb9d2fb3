"""Lets generated calls meet people and records that are there.

An id that fits the contract is replaced by one of somebody who exists; one that does not fit is left
alone, because it is meant to be refused. Nothing here changes what is checked.
"""

import json
import os
import re
import urllib.request

import schemathesis

URL = os.environ["VAULT_URL"]
HEADERS = {
    "Authorization": "Bearer " + os.environ["VAULT_TOKEN"],
    "Content-Type": "application/json",
    "Vault-Purpose": "support",
}
# `self` is for a session; these calls carry an API key.
SUBJECT = re.compile(r"^(self|sub_[0-9a-hjkmnp-tv-z]{26})$")
RECORD = re.compile(r"^rec_[0-9a-hjkmnp-tv-z]{39}$")
SESSION = re.compile(r"^ses_[0-9a-hjkmnp-tv-z]{26}$")
RECEIPT = re.compile(r"^rcp_[0-9a-hjkmnp-tv-z]{26}$")
TOKEN = re.compile(r"^tok_[0-9a-hjkmnp-tv-z]{26}$")
LANGUAGE = re.compile(r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")
NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
# The way of writing that fits each kind of collection.
COLLECTIONS = {
    "append_records": ["messages"],
    "patch_single": ["profile"],
    "read_record": ["messages"],
    "patch_record": ["messages"],
    "delete_record": ["messages"],
}
# Of a blob the collection and the field, too.
BLOBS = {"_blob": ("profile", "photo"), "_record_blob": ("messages", "voice")}
BULK = ("query_records", "update_records", "purge_records")
COUNT = 0


def call(method, path, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {**HEADERS, **{name.replace("_", "-"): text for name, text in headers.items()}}
    request = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def person():
    """Somebody new, with a record in each collection and a consent."""
    global COUNT
    COUNT += 1
    subject = call("POST", "/v1/subjects", {"channel": "seed", "user": f"u-{COUNT}"})["subject"]
    path = f"/v1/subjects/{subject}"
    fields = {"name": "Ann Example", "birth": "1990-02-03", "email": f"u{COUNT}@example.test"}
    call("PATCH", path + "/records/profile", fields)
    record = call("POST", path + "/records/messages", {"text": "hello"})["record"]
    call("PUT", path + "/consents/newsletter", {"given": True, "notice": "v1"})
    call("PUT", path + "/blobs/profile/photo", b"a face", Content_Type="image/png")
    call("PUT", path + f"/blobs/messages/{record}/voice", b"a voice", Content_Type="audio/ogg")
    return subject, record


def session(subject):
    body = {"purpose": "support", "fields": ["profile.name"], "reads": 1}
    return call("POST", f"/v1/subjects/{subject}/sessions", body)["session"]


PEOPLE = [person() for _ in range(4)]
RECEIPT_OF_ONE = call("DELETE", f"/v1/subjects/{person()[0]}", {})["receipt"]["body"]["receipt"]


def pick(text, options):
    return options[sum(text.encode()) % len(options)]


def fits(parameters, name, form):
    text = parameters.get(name)
    return isinstance(text, str) and form.match(text)


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    path = case.path_parameters or {}
    if fits(path, "s", SUBJECT):
        # What is removed is something of its own, so that the rest stays.
        own = operation in ("erase_subject", "delete_record")
        subject, record = person() if own else pick(path["s"], PEOPLE)
        if fits(path, "r", RECORD):
            path["r"] = record
        path["s"] = subject
        if fits(path, "ses", SESSION):
            path["ses"] = session(subject)
    if fits(path, "tok", TOKEN):
        path["tok"] = call("POST", "/v1/admin/api-keys", {"role": "bot"})["token"]
    if fits(path, "c", NAME):
        both = ["profile", "messages"]
        path["c"] = pick(path["c"], COLLECTIONS.get(operation, both))
    if fits(path, "purpose", NAME):
        path["purpose"] = pick(path["purpose"], ["newsletter", "newsletter", "support"])
    for ending, (collection, field) in BLOBS.items():
        if operation in (verb + ending for verb in ("read", "put", "delete", "head")):
            for name, text in (("c", collection), ("f", field)):
                if fits(path, name, NAME):
                    path[name] = text
    if fits(path, "rcp", RECEIPT):
        path["rcp"] = RECEIPT_OF_ONE
    if operation in BULK and isinstance(case.body, dict) and fits(case.body, "collection", NAME):
        # What is purged is nobody's: the others' records stay for the other calls.
        case.body["collection"] = "messages"
        if operation == "purge_records":
            case.body["where"] = {"source": "nowhere"}
    headers = case.headers or {}
    if fits(headers, "Vault-Purpose", NAME):
        purposes = ["support", "support", "newsletter"]
        headers["Vault-Purpose"] = pick(headers["Vault-Purpose"], purposes)
    query = case.query or {}
    if fits(query, "lang", LANGUAGE):
        query["lang"] = pick(query["lang"], ["en", "de"])
    if operation == "apply_policy" and (case.query or {}).get("dry_run") in (None, False, "false"):
        # A policy that was applied would take the role of these calls away.
        case.query = {**(case.query or {}), "dry_run": "true"}
