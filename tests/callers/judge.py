"""What must hold for the one message of a caller: judge.py FOLDER SECONDS RECIPIENT[,RECIPIENT] (body FILE | has TEXT...)

The recipients are the envelope's, all of them. `body`: the text arrives byte for byte, apart from line ends and, where the caller itself chose one, a
transfer encoding. `has`: the caller writes the text itself, and these are parts of it. Prints each fault; exit status 1 if there is any."""
import email, email.policy, email.utils, json, pathlib, sys, time

folder, seconds, recipients, kind, *expected = sys.argv[1:]
recipients = recipients.split(",")


def find():
    """The message for this recipient; of several, the one with all parts."""
    for _ in range(int(seconds) * 10):
        for envelope in sorted(pathlib.Path(folder).glob("*.json")):
            found = json.loads(envelope.read_text())
            raw = envelope.with_suffix(".eml").read_bytes()
            if recipients[0] in found["recipients"] and (kind == "body" or all(part.encode() in raw for part in expected)):
                return found, raw
        time.sleep(.1)
    sys.exit(f"no message for {recipients[0]} after {seconds} s")


def faults(envelope, raw):
    header, _, body = raw.partition(b"\r\n\r\n")
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    for name in ("Date", "Message-ID", "From"):
        if len(message.get_all(name, [])) != 1:
            yield f"{len(message.get_all(name, []))} fields {name}"
    if not message.get_all("To") and not message.get_all("Cc"):
        yield "neither To nor Cc"
    for name in ("From", "To", "Cc", "Sender", "Reply-To"):
        for _, address in email.utils.getaddresses([str(value) for value in message.get_all(name, [])]):
            if not address.partition("@")[2]:
                yield f"{name} is not qualified: {message[name]}"
    if sorted(envelope["recipients"]) != sorted(recipients):
        yield f"the envelope's recipients are {envelope['recipients']}, not {recipients}"
    if "@" not in envelope["sender"]:
        yield f"the envelope's sender is not qualified: {envelope['sender']}"
    if message.get_all("Bcc"):
        yield "Bcc was left in"
    if any(b"hidden" in line for line in header.splitlines()):
        yield "a blind recipient is named in the header"
    if b"\n" in raw.replace(b"\r\n", b"") or b"\r" in raw.replace(b"\r\n", b""):
        yield "a bare CR or LF"
    if any(len(line) > 998 for line in raw.split(b"\r\n")):
        yield "a line of more than 998 bytes"
    if kind == "body":
        if message.get("Content-Transfer-Encoding", "").lower() in ("quoted-printable", "base64"):
            body = message.get_payload(decode=True)
        wanted = pathlib.Path(expected[0]).read_bytes()
        if body.replace(b"\r\n", b"\n") != wanted:
            yield f"the body is {body!r}, not {wanted!r}"


found = list(faults(*find()))
print("\n".join(found))
sys.exit(1 if found else 0)
