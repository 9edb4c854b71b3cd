"""An SMTP server that keeps every message as it came: sink.py PORT FOLDER. Each becomes N.json (envelope) and N.eml (content, dots unstuffed, CRLF)."""
import itertools, json, pathlib, socketserver, sys

folder, numbers = pathlib.Path(sys.argv[2]), itertools.count(1)


class Session(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 sink.example ESMTP")
        sender, recipients = "", []
        while line := self.rfile.readline():
            verb, _, argument = line.decode("utf-8", "surrogateescape").strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    self.say("250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8")
                case "MAIL":
                    sender, recipients = argument[argument.index("<") + 1:argument.index(">")], []
                    self.say("250 2.1.0 Ok")
                case "RCPT":
                    recipients.append(argument[argument.index("<") + 1:argument.index(">")])
                    self.say("250 2.1.5 Ok")
                case "DATA":
                    self.say("354 go on")
                    self.keep(sender, recipients)
                    self.say("250 2.0.0 Ok")
                case "QUIT":
                    return self.say("221 2.0.0 Bye")
                case _:
                    self.say("250 2.0.0 Ok")

    def keep(self, sender, recipients):
        content = b""
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return
            content += line[1:] if line.startswith(b".") else line
        number = next(numbers)
        (folder / f"{number}.eml").write_bytes(content)
        new = folder / f"{number}.new"
        new.write_text(json.dumps({"sender": sender, "recipients": recipients}))
        new.rename(folder / f"{number}.json")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True


Server(("127.0.0.1", int(sys.argv[1])), Session).serve_forever()
