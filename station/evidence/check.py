#!/usr/bin/env python3
# Edition 6.
"""Checks this bundle with Python's standard library and openssl alone, the whole log or a part of it.

usage: python3 -I check.py [--key FILE] [--anchor CHECKPOINT]

--key     verifier key that you got from elsewhere (default: log.vkey of the bundle)
--anchor  file with checkpoints that you kept elsewhere, also a mail as it was stored; may be repeated
It exits with 0 only when everything holds, with 3 after a mistake in usage, else with 1 and the reason.
"""
import sys

# Python looks for modules beside the script first, so a file hashlib.py of the bundle would run here. -I forbids that;
# without -I nothing may be imported before the folder is gone from the path.
if not sys.flags.isolated and not getattr(sys.flags, "safe_path", False):
    sys.path[:] = [folder for folder in sys.path if folder not in (sys.path[0], "", ".")]
import base64, email, hashlib, json, os, re, struct, subprocess, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def fail(text):
    print("FAIL: " + text)
    sys.exit(1)


def read(*path):
    try:
        with open(os.path.join(HERE, *path), "rb") as f:
            return f.read()
    except OSError as e:
        fail("%s: %s" % ("/".join(path), e.strerror))


def count(n, one, many):
    return "%d %s" % (n, one if n == 1 else many)


def sha(data):
    return hashlib.sha256(data).digest()


def index(n):  # C2SP tlog-tiles: groups of three digits
    text = "%03d" % (n % 1000)
    while n >= 1000:
        n //= 1000
        text = "x%03d/%s" % (n % 1000, text)
    return text


def tile(level, n, width):
    return ("tile/%s/%s" % (level, index(n)) + ("" if width == 256 else ".p/%d" % width)).split("/")


def root_of(hashes):  # RFC 6962 section 2.1
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha(b"\x01" + root_of(hashes[:k]) + root_of(hashes[k:]))


def given(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        fail("%s: %s" % (path, e.strerror))


def open_key(vkey):  # C2SP signed-note, ECDSA P-256 (type 0x02)
    try:
        origin, key_id, key = vkey.strip().split("+", 2)
        key = base64.b64decode(key, validate=True)
    except ValueError:
        fail("the verifier key is not NAME+ID+KEY on one line, as in log.vkey")
    if key[:1] != b"\x02" or sha(key[1:])[:4].hex() != key_id:
        fail("the verifier key is not an ECDSA key with its key id")
    return origin, key_id, key[1:]


def open_note(note, vkey, name):  # C2SP signed-note
    origin, key_id, spki = open_key(vkey)
    text, _, signatures = note.replace(b"\r\n", b"\n").partition(b"\n\n")
    text += b"\n"
    lines, signatures = text.decode("utf-8", "replace").split("\n"), signatures.decode("utf-8", "replace").splitlines()
    if len(lines) < 4 or not lines[1].isdecimal() or not any(line.startswith("\u2014 ") for line in signatures):
        fail("%s: not a checkpoint: want origin, size, root, an empty line and a signature" % name)
    for line in signatures:
        dash, who, signature = (line.split(" ") + ["", ""])[:3]
        try:
            signature = base64.b64decode(signature, validate=True)
        except ValueError:
            continue
        if dash != "\u2014" or who != origin or signature[:4].hex() != key_id:
            continue
        with tempfile.TemporaryDirectory() as d:
            for n, data in (("key", spki), ("sig", signature[4:]), ("text", text)):
                with open(os.path.join(d, n), "wb") as f:
                    f.write(data)
            done = subprocess.run(["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", os.path.join(d, "key"),
                                   "-signature", os.path.join(d, "sig"), os.path.join(d, "text")], capture_output=True)
        if done.returncode != 0:
            fail("%s: wrong signature" % name)
        if lines[0] != origin:
            fail("%s: another log" % name)
        return int(lines[1]), base64.b64decode(lines[2])
    fail("%s: not signed by this key" % name)


def text_of(content):  # UTF-8, UTF-16 as Windows stores it, or Windows-1252
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def text_of_mail(content):  # the texts and files of a mail as it was stored, without their encodings (RFC 2045)
    if not re.search(b"(?im)^content-transfer-encoding:[ \t]*(quoted-printable|base64)[ \t]*\r?$", content):
        return ""
    parts = [p for p in email.message_from_bytes(content).walk() if not p.is_multipart() and p.get_content_type() != "text/html"]
    return "\n\n".join(text_of(p.get_payload(decode=True) or b"") for p in parts)


def notes_in(content, origin, name):  # a file of checkpoints: in a mail, quoted, with a QR code behind
    notes, whole = notes_of(text_of_mail(content), origin)
    if not notes or not whole:
        notes, whole = notes_of(text_of(content), origin)
    if not notes or not whole:
        fail("%s: not a checkpoint of %s" % (name, origin))
    return notes


def notes_of(text, origin):
    lines = []
    for line in text.splitlines():
        line = line.rstrip(" \t\r").lstrip(" \t>")
        if line.strip(" \u2580\u2584\u2588") or (not line and lines and lines[-1]):
            lines.append(line)
    notes, signatures, signature = [], 0, re.compile("\u2014 \\S+ [A-Za-z0-9+/]{48,}=*$")
    for at, line in enumerate(lines):
        signatures += signature.match(line) is not None
        if line != origin or lines[at + 3:at + 4] != [""] or not lines[at + 1].isdecimal():
            continue
        end = at + 4
        while end < len(lines) and signature.match(lines[end]):
            end, signatures = end + 1, signatures - 1
        if end > at + 4:
            notes.append(("\n".join(lines[at:end]) + "\n").encode())
    return notes, signatures == 0  # a signature outside of a checkpoint: the checkpoint was damaged


def signed(name, key):  # RFC 5652: a detached signature by the audit key, which the root has certified
    if not os.path.exists(os.path.join(HERE, name + ".p7s")):
        return False
    with tempfile.TemporaryDirectory() as d:
        signer = os.path.join(d, "signer.pem")
        done = subprocess.run(["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", os.path.join(HERE, name + ".p7s"), "-content",
                               os.path.join(HERE, name), "-CAfile", os.path.join(HERE, "authorities.pem"), "-no_check_time", "-signer", signer,
                               "-out", os.devnull], capture_output=True)
        if done.returncode != 0:
            fail("%s.p7s: wrong signature" % name)
        text = subprocess.run(["openssl", "x509", "-in", signer, "-noout", "-pubkey"], capture_output=True, check=True).stdout.decode()
    if base64.b64decode("".join(text.splitlines()[1:-1])) != base64.b64decode(key.strip().split("+", 2)[2])[1:]:
        fail("%s.p7s: signed by another key than the audit key" % name)
    return True


def files_here():  # the paths of all files, with / between the folders
    names = set()
    for folder, folders, files in os.walk(HERE):
        for name in folders + files:
            path = os.path.join(folder, name)
            if os.path.islink(path) or (name in files and not os.path.isfile(path)):
                fail("%s is no regular file" % os.path.relpath(path, HERE))
        names.update(os.path.relpath(os.path.join(folder, name), HERE).replace(os.sep, "/") for name in files)
    return names


def check_sums(there):  # each file is the one of SHA256SUMS, and each file of SHA256SUMS is there
    listed = {}
    for line in read("SHA256SUMS").decode().splitlines():
        if not re.fullmatch("[0-9a-f]{64}  .+", line) or line[66:] in listed:
            fail("SHA256SUMS: %s is not a line of sha256sum, or is there twice" % ascii(line))
        listed[line[66:]] = line[:64]
    for path in sorted(there - set(listed) - {"SHA256SUMS", "SHA256SUMS.p7s"}):
        fail("%s does not belong to the bundle" % path)
    for path, digest in sorted(listed.items()):
        if ".." in path.split("/") or path.startswith("/"):
            fail("SHA256SUMS names a file outside of the bundle: %s" % path)
        if sha(read(*path.split("/"))).hex() != digest:
            fail("%s was changed" % path)


VIEWS = {"views/events.jsonl", "views/events.csv", "views/events.rfc5424", "views/boards.csv"}
EACH = {"checkpoint", "log.vkey", "authorities.pem", "README.txt", "check.py", "SHA256SUMS"} | VIEWS  # files of each bundle
WHOLE, PART = {"checkpoints.txt", "report.html"}, {"question.json"}  # files of a whole bundle, and of a part
MADE = set()  # files that follow from the entries


def check_names(there, is_part, is_signed, issued):  # no file is missing, and none is too many
    wanted = EACH | (PART if is_part else WHOLE) | MADE | {"certificates/%s.der" % digest for digest in issued}
    if is_signed:
        wanted |= {"SHA256SUMS.p7s"} | (set() if is_part else {"report.html.p7s"})
    for name in sorted(wanted - there):
        fail("%s: No such file" % name)
    for name in sorted(there - wanted - {"checkpoint.tsr"}):
        fail("%s does not belong to the bundle" % name)


RECEIPTS, SAID = [], {}  # receipts of boards; by Run, what the board said of itself when the Run began
SERIALS, BOARDS, TOLD = {}, set(), []  # serial numbers with an open intent or without; boards; checkpoints that entries tell of


def note_entry(body, number, issued, is_part):  # keeps what an entry says of certificates, receipts, boards and checkpoints
    entry = json.loads(body)
    if entry["seq"] != number:
        fail("entry %d says it is entry %d" % (number, entry["seq"]))
    serial = (entry.get("cert") or {}).get("serial")
    if entry["type"] == "cert.issue.intent":
        if serial in SERIALS:
            fail("entry %d: serial number %s has an intent a second time" % (number, serial))
        SERIALS[serial] = True
    if entry["type"] in ("cert.issue.failed", "cert.issue.unresolved"):
        SERIALS[serial] = False
    if entry["type"] == "cert.issued":
        if not SERIALS.get(serial) and not is_part:  # a part may leave the intent out
            fail("entry %d: serial number %s was issued without an open intent" % (number, serial))
        SERIALS[serial] = False
        issued[entry["cert"]["sha256"]] = number
    if (entry.get("board") or {}).get("id"):
        BOARDS.add(entry["board"]["id"])
    if entry["type"] == "log.checkpoint":
        TOLD.append((number, int(entry["details"]["size"]), entry["details"]["root"]))
    run, details = (entry.get("run") or {}).get("id"), entry.get("details") or {}
    if entry["type"] == "board.admitted":
        SAID[run] = entry["board"]
    if details.get("receipt"):
        RECEIPTS.append((number, entry, SAID.get(run)))
    if entry["type"].startswith("run."):
        SAID.pop(run, None)


class Roots:  # takes the leaves in their order, and gives the root after each
    def __init__(self):
        self.size, self.full = 0, []  # roots of full trees, the largest first

    def add(self, leaf):
        self.size, at = self.size + 1, self.size
        while at % 2:
            leaf, at = sha(b"\x01" + self.full.pop() + leaf), at // 2
        self.full.append(leaf)

    def root(self):
        hash = self.full[-1]
        for left in reversed(self.full[:-1]):
            hash = sha(b"\x01" + left + hash)
        return hash


def check_whole(size, root, held, issued, key):  # all entries make the tree of the checkpoint, and of each other checkpoint
    stored = stored_checkpoints(size, key)
    wanted = {at for _, at, _ in held} | {at for at, _ in stored}
    leaves, roots, found = [], Roots(), {}
    for n in range((size + 255) // 256):
        width = min(256, size - n * 256)
        MADE.add("/".join(tile("entries", n, width)))
        data, at = read(*tile("entries", n, width)), 0
        for _ in range(width):
            end = at + 2 + (struct.unpack(">H", data[at:at + 2])[0] if at + 2 <= len(data) else len(data))
            if end > len(data):
                fail("entry bundle %d is cut off" % n)
            body, at = data[at + 2:end], end
            leaves.append(sha(b"\x00" + body))
            note_entry(body, len(leaves) - 1, issued, False)
            roots.add(leaves[-1])
            if roots.size in wanted:
                found[roots.size] = roots.root()
        if at != len(data):
            fail("entry bundle %d has octets behind its entries" % n)
    if size == 0 or roots.root() != root:
        fail("root mismatch: the entries are not those that the checkpoint was signed over")
    level, hashes = 0, leaves
    while hashes:
        for n in range((len(hashes) + 255) // 256):
            some = hashes[n * 256:n * 256 + 256]
            MADE.add("/".join(tile(level, n, len(some))))
            if read(*tile(level, n, len(some))) != b"".join(some):
                fail("tile %d/%d is not of this log" % (level, n))
        hashes = [root_of(hashes[n:n + 256]) for n in range(0, len(hashes) - 255, 256)]
        level += 1
    for name, anchor_size, anchor_root in held:
        if anchor_size > size:
            fail("%s is over %s, the bundle has %d: entries are missing, or the bundle is older" % (name, count(anchor_size, "entry", "entries"), size))
        if found[anchor_size] != anchor_root:
            fail("%s: the log was rewritten" % name)
    for stored_size, stored_root in stored:
        if found[stored_size] != stored_root:
            fail("checkpoints.txt: the checkpoint over %s is of another log" % count(stored_size, "entry", "entries"))
    for number, told_size, told_root in TOLD:
        if (told_size, base64.b64decode(told_root)) not in stored:
            fail("checkpoints.txt: the checkpoint that entry %d tells of is missing, or has another root" % number)
    return len(held)


def stored_checkpoints(size, key):  # all checkpoints that the station signed: size and root, the oldest first
    text = read("checkpoints.txt")
    notes = re.findall(b"[^\n]+\n[^\n]+\n[^\n]+\n\n(?:\xe2\x80\x94 [^\n]+\n)+", text)
    if b"\n".join(notes) != text:
        fail("checkpoints.txt: there is more than checkpoints")
    if not notes or notes[-1] != read("checkpoint"):
        fail("checkpoints.txt: the last checkpoint is not the one of the file checkpoint")
    stored = {}
    for note in notes:
        at, root = open_note(note, key, "checkpoints.txt")
        if at > size or (stored and at <= max(stored)):
            fail("checkpoints.txt: the checkpoints are out of order")
        stored[at] = root
    return set(stored.items())


def check_part(size, root, held, issued):  # each entry has a proof that it is in the log of the checkpoint
    numbers = numbers_of("entries", ".json")
    if not numbers or numbers_of("proofs", ".tlog-proof") != numbers:
        fail("the proofs are not those of the entries")
    for number in numbers:
        body = read("entries", "%d.json" % number)
        check_proof(read("proofs", "%d.tlog-proof" % number), body, number, size, root)
        MADE.update({"entries/%d.json" % number, "proofs/%d.tlog-proof" % number})
        note_entry(body, number, issued, True)
    try:
        asked = json.loads(read("question.json"))
        question, said = json.dumps(asked), (asked["entries"], asked["boards"])
    except (ValueError, KeyError, TypeError):
        fail("question.json is no question")
    if said != (len(numbers), len(BOARDS)):
        fail("question.json: the answer has %s about %s, and here are %d about %d" % (
            count(said[0], "entry", "entries"), count(said[1], "board", "boards"), len(numbers), len(BOARDS)))
    same = 0
    for name, anchor_size, anchor_root in held:
        if anchor_size > size:
            fail("%s is over %s, the checkpoint of this part over %d: the part is older" % (name, count(anchor_size, "entry", "entries"), size))
        if anchor_size == size and anchor_root != root:
            fail("%s: another log" % name)
        if anchor_size < size:
            print("NOT CHECKED: %s is older than the checkpoint of this part; compare it with a whole bundle" % name)
        same += anchor_size == size
    return len(numbers), same, question


def numbers_of(folder, ending):
    numbers = []
    for name in os.listdir(os.path.join(HERE, folder)) if os.path.isdir(os.path.join(HERE, folder)) else []:
        if not re.fullmatch("(0|[1-9][0-9]{0,17})" + re.escape(ending), name):
            fail("%s/%s does not belong to the bundle" % (folder, name))
        numbers.append(int(name[:-len(ending)]))
    return sorted(numbers)


def check_proof(proof, body, number, size, root):  # C2SP tlog-proof; RFC 9162 section 2.1.3.2
    head, _, checkpoint = proof.partition(b"\n\n")
    lines = head.split(b"\n")
    if lines[:2] != [b"c2sp.org/tlog-proof@v1", b"index %d" % number] or checkpoint != read("checkpoint"):
        fail("proofs/%d.tlog-proof is not of this entry and this checkpoint" % number)
    at, last, hash = number, size - 1, sha(b"\x00" + body)
    for line in lines[2:]:
        try:
            other = base64.b64decode(line, validate=True)
        except ValueError:
            other = b""
        if len(other) != 32 or last <= 0:
            fail("entry %d: the proof does not hold" % number)
        if at % 2 or at == last:
            hash = sha(b"\x01" + other + hash)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            hash = sha(b"\x01" + hash + other)
        at, last = at // 2, last // 2
    if last != 0 or hash != root:
        fail("entry %d: the proof does not hold" % number)


def check_certificates(issued):
    folder = os.path.join(HERE, "certificates")
    there = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    if there != {digest + ".der" for digest in issued}:
        fail("the certificates are not those that the log says were issued")
    for digest in issued:
        if sha(read("certificates", digest + ".der")).hex() != digest:
            fail("certificate %s was changed" % digest)


def cbor(data, at=0):  # one item of RFC 8949, as far as a receipt has it: value, and the place behind it
    major, info, at = data[at] >> 5, data[at] & 31, at + 1
    if info > 23:
        size = {24: 1, 25: 2, 26: 4}[info]
        info, at = int.from_bytes(data[at:at + size], "big"), at + size
    if major < 2:
        return (info, -1 - info)[major], at
    if major in (2, 3):
        if at + info > len(data):
            raise ValueError("a string ends early")
        return (data[at:at + info] if major == 2 else data[at:at + info].decode()), at + info
    if major == 6:
        value, at = cbor(data, at)
        return (info, value), at
    items = []
    for _ in range(info * {4: 1, 5: 2}[major]):
        value, at = cbor(data, at)
        items.append(value)
    return (items if major == 4 else dict(zip(items[::2], items[1::2]))), at


def octets(data):  # head and octets of a byte string
    return (bytes([0x58, len(data)]) if len(data) > 23 else bytes([0x40 + len(data)])) + data


def integer(data):  # DER INTEGER (X.690 section 8.3)
    data = data.lstrip(b"\0") or b"\0"
    data = b"\0" + data if data[0] > 127 else data
    return bytes([2, len(data)]) + data


def check_receipts(issued):  # PROTOCOL.md, "receipt": a COSE_Sign1 (RFC 9052) by the key of the certificate that the board presented
    known = [sha(base64.b64decode("".join(pem.split()))) for pem in
             re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END", read("authorities.pem").decode(), re.S)]
    nonces, checked, elsewhere = set(), 0, 0
    for number, entry, said in RECEIPTS:
        shown = entry["details"]["presented_sha256"]
        if shown not in issued:
            if not os.path.isdir(os.path.join(HERE, "proofs")):
                fail("entry %d: the certificate of the receipt is not in the bundle" % number)
            elsewhere += 1
            continue
        wrong = wrong_receipt(entry, said, shown, known, nonces)
        if wrong:
            fail("entry %d: the receipt %s" % (number, wrong))
        checked += 1
    return checked, elsewhere


P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")  # a key on P-256 up to its point (RFC 5480 section 2)


def wrong_receipt(entry, said, shown, known, nonces):
    try:
        cose = base64.b64decode(entry["details"]["receipt"], validate=True)
        (tag, (protected, unprotected, payload, signature)), end = cbor(cose)
        is_sign1 = (tag, protected, unprotected, end, len(signature)) == (18, b"\xa1\x01\x26", {}, len(cose), 64)
        receipt, end = cbor(payload)
    except (ValueError, KeyError, IndexError, TypeError):
        return "is not one"
    if not is_sign1 or end != len(payload) or receipt.get("t") != "hallmark receipt 1":
        return "is not one"
    signed = b"\x84\x6aSignature1\x43" + protected + b"\x40" + octets(payload)
    der = integer(signature[:32]) + integer(signature[32:])
    certificate = read("certificates", shown + ".der")
    key = certificate[certificate.find(P256):][:len(P256) + 65]
    with tempfile.TemporaryDirectory() as d:
        for n, data in (("signed", signed), ("sig", bytes([0x30, len(der)]) + der), ("key", key)):
            with open(os.path.join(d, n), "wb") as f:
                f.write(data)
        done = subprocess.run(["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", os.path.join(d, "key"),
                               "-signature", os.path.join(d, "sig"), os.path.join(d, "signed")], capture_output=True)
    source = str(receipt["hs"]) + (" caller %d" % receipt["dc"] if "dc" in receipt else "")
    for bad, text in ((done.returncode != 0, "is not signed by the key of the certificate that the board presented"),
                      (receipt["ch"].hex() != shown, "is about another certificate"),
                      (entry["cert"]["purpose"] == "tls" and entry["cert"].get("sha256", shown) != shown, "is not of the certificate that became active"),
                      (receipt["id"].hex() != entry["board"]["id"].replace("-", ""), "is about another board"),
                      (receipt["ah"] not in known, "names a trust anchor that is not in authorities.pem"),
                      (said and receipt["fh"].hex() != said.get("sha256"), "names other firmware than the board had said"),
                      (said and source != said.get("huk"), "names another HUK source than the board had said"),
                      (receipt["lc"] != (entry["details"].get("sealed") == "true"), "names another life cycle than the entry"),
                      (receipt["n"] in nonces, "was used before")):
        if bad:
            return text
    nonces.add(receipt["n"])
    return ""


def main():
    args, key, anchors = sys.argv[1:], None, []
    while args:
        option = args.pop(0)
        if option in ("-h", "--help"):
            print(__doc__)
            sys.exit(0)
        if option not in ("--key", "--anchor") or not args:
            print(__doc__)
            sys.exit(3)
        content = given(args.pop(0))
        if option == "--key":
            key = text_of(content)
        else:
            anchors.append((content, "anchor %d" % (len(anchors) + 1)))
    # 1. Every file is the one of SHA256SUMS.
    there = files_here()
    check_sums(there)
    # 2. The checkpoints are signed, the one of the bundle and those from elsewhere.
    trusted = "the key that you gave" if key else "the key of the bundle: compare it with the one from the ceremony"
    bundled = text_of(read("log.vkey"))
    if key and key.strip() != bundled.strip():
        fail("log.vkey: another key than the one that you gave: the bundle is of another log, or somebody made it with a key of their own")
    key = bundled
    size, root = open_note(read("checkpoint"), key, "checkpoint")
    held = [(name,) + open_note(note, key, name) for content, name in anchors for note in notes_in(content, open_key(key)[0], name)]
    is_part, issued = os.path.isdir(os.path.join(HERE, "proofs")), {}
    if "report.html.p7s" in there and "SHA256SUMS.p7s" not in there:
        fail("SHA256SUMS.p7s: No such file; the report is signed, so the bundle was, too")
    signatures = [signed(name, key) for name in (["SHA256SUMS"] if is_part else ["SHA256SUMS", "report.html"])]
    # 3. The entries are in the log of the checkpoint.
    entries = count(size, "entry", "entries")
    if is_part:
        selected, same, question = check_part(size, root, held, issued)
        entries = "%d of %s" % (selected, entries)
    else:
        same = check_whole(size, root, held, issued, key)
    # 4. The certificates are those of the log.
    check_certificates(issued)
    # 5. The receipts are signed by the boards, and say what the log says.
    receipts, elsewhere = check_receipts(issued)
    # 6. No file is too many.
    check_names(there, is_part, signatures[0], issued)
    print("OK: %s, %s, root %s" % (entries, count(len(issued), "certificate", "certificates"), base64.b64encode(root).decode()))
    print("    signed by %s; %s from elsewhere" % (trusted, count(same, "checkpoint", "checkpoints")))
    print("    the files %s" % ("are signed by the audit key" if signatures[0] else "are not signed, only the checkpoint is"))
    if receipts:
        print("    %s of boards, signed with the key of the certificate that the board presented" % count(receipts, "receipt", "receipts"))
    if is_part:
        print("    the question, as the bundle says: " + question)
        print("    a part does not show that no other entry belongs to it")
    if elsewhere:
        print("NOT CHECKED: %s: the certificate is in another part" % count(elsewhere, "receipt", "receipts"))
    print("NOT CHECKED: views/%s: whether they follow from the entries; auditcheck makes them anew" % ("" if is_part else ", report.html"))
    print("NOT CHECKED: authorities.pem, certificates/: whether the CA signed the certificates, and their keys and serial numbers")
    print("NOT CHECKED: README.txt, check.py: whether they are those of their edition")
    if "checkpoint.tsr" in there:
        print("NOT CHECKED: checkpoint.tsr: README.txt says how to check it with openssl")
    if read("checkpoint").count(b"\n\xe2\x80\x94 ") > 1:
        print("NOT CHECKED: checkpoint: the signatures of others than the log")


try:
    main()
except Exception as e:  # a file that has another form than a station writes
    fail("the bundle is damaged: %s: %s" % (type(e).__name__, e))
