#!/usr/bin/env python3
# Edition 7.
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


def sha_of_file(*path):
    hash = hashlib.sha256()
    try:
        with open(os.path.join(HERE, *path), "rb") as f:
            for block in iter(lambda: f.read(1 << 20), b""):
                hash.update(block)
    except OSError as e:
        fail("%s: %s" % ("/".join(path), e.strerror))
    return hash.digest()


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


# P-256 (NIST SP 800-186 section 3.2.1.3): y*y = x*x*x - 3*x + B modulo P; a base point generates N points.
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")  # a key on P-256 up to its point (RFC 5480 section 2)


def plus(a, b):  # a: Jacobian coordinates, or None for the point at infinity; b: affine coordinates
    if a is None:
        return b + (1,)
    x, y, z = a
    zz = z * z % P
    h, r = (b[0] * zz - x) % P, (b[1] * zz * z - y) % P
    if h == 0:
        return twice(a) if r == 0 else None
    hh = h * h % P
    hhh, v = h * hh % P, x * hh % P
    x = (r * r - hhh - 2 * v) % P
    return x, (r * (v - x) - y * hhh) % P, z * h % P


def twice(a):
    if a is None:
        return None
    x, y, z = a
    zz, yy = z * z % P, y * y % P
    b, m = 4 * x * yy % P, 3 * (x - zz) * (x + zz) % P
    x = (m * m - 2 * b) % P
    return x, (m * (b - x) - 8 * yy * yy) % P, 2 * y * z % P


def affine(points):  # with one inversion for all
    before, z, result = [], 1, []
    for point in points:
        before.append(z)
        z = z * point[2] % P
    inverse = pow(z, P - 2, P)
    for point, z in zip(reversed(points), reversed(before)):
        z, inverse = z * inverse % P, inverse * point[2] % P
        result.append((point[0] * z * z % P, point[1] * z * z * z % P))
    return result[::-1]


def multiples(point, count):  # once, twice, ... count times the point
    all = [point + (1,)]
    while len(all) < count:
        all.append(plus(all[-1], point))
    return affine(all)


class Point:  # a point on P-256; one that is used often gets a table
    def __init__(self, x, y):
        self.xy, self.used, self.table = (x, y), 0, []
        if x >= P or y >= P or (y * y - x * x * x + 3 * x - B) % P:
            raise ValueError("the point is not on the curve P-256")

    def make_table(self):  # for each octet of a number its multiples of the point
        point = self.xy
        for _ in range(32):
            self.table.append(multiples(point, 256))
            point = self.table[-1].pop()

    def times(self, number):
        self.used, total = self.used + 1, None
        if self.used == 16:
            self.make_table()
        for row, octet in zip(self.table, number.to_bytes(32, "little")):
            if octet:
                total = plus(total, row[octet - 1])
        if self.table:
            return total
        some = multiples(self.xy, 15)
        for digit in "%064x" % number:
            total = twice(twice(twice(twice(total))))
            if digit != "0":
                total = plus(total, some[int(digit, 16) - 1])
        return total


BASE = Point(0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296, 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)


def point_of(spki):
    if len(spki) != len(SPKI) + 65 or not spki.startswith(SPKI + b"\4"):
        raise ValueError("not a key on P-256")
    at = len(SPKI) + 1
    return Point(int.from_bytes(spki[at:at + 32], "big"), int.from_bytes(spki[at + 32:], "big"))


def holds(key, text, r, s):  # ECDSA with SHA-256 (FIPS 186-5 section 6.4.2); a log has many signatures, and a process of openssl for each takes minutes
    if not (0 < r < N and 0 < s < N):
        return False
    inverse = pow(s, N - 2, N)
    of_base, of_key = BASE.times(int.from_bytes(sha(text), "big") * inverse % N), key.times(r * inverse % N)
    if of_base:
        of_key = plus(of_key, affine([of_base])[0])
    if of_key is None:
        return False
    x, _, z = of_key
    return any((candidate * z * z - x) % P == 0 for candidate in (r, r + N) if candidate < P)


def integer(data):  # DER INTEGER (X.690 section 8.3)
    data = data.lstrip(b"\0") or b"\0"
    data = b"\0" + data if data[0] > 127 else data
    return bytes([2, len(data)]) + data


def numbers_in(signature):  # r and s of a signature in DER (RFC 3279 section 2.2.3); 0 and 0, which no signature has, for another form
    r = signature[4:4 + signature[3]] if len(signature) > 3 else b""
    s = signature[6 + len(r):]
    body = integer(r) + integer(s)
    if len(body) > 127 or bytes([0x30, len(body)]) + body != signature:
        return 0, 0
    return int.from_bytes(r, "big"), int.from_bytes(s, "big")


def openssl_holds(spki, text, signature):
    with tempfile.TemporaryDirectory() as d:
        for n, data in (("key", spki), ("sig", signature), ("text", text)):
            with open(os.path.join(d, n), "wb") as f:
                f.write(data)
        done = subprocess.run(["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", os.path.join(d, "key"),
                               "-signature", os.path.join(d, "sig"), os.path.join(d, "text")], capture_output=True)
    return done.returncode == 0


def open_key(vkey):  # C2SP signed-note, ECDSA P-256 (type 0x02)
    try:
        origin, key_id, key = vkey.strip().split("+", 2)
        key = base64.b64decode(key, validate=True)
    except ValueError:
        fail("the verifier key is not NAME+ID+KEY on one line, as in log.vkey")
    if key[:1] != b"\x02" or sha(key[1:])[:4].hex() != key_id:
        fail("the verifier key is not an ECDSA key with its key id")
    try:
        return origin, key_id, key[1:], point_of(key[1:])
    except ValueError as e:
        fail("the verifier key: %s" % e)


def open_note(note, key, name, openssl=False):  # C2SP signed-note; openssl: asks openssl, too
    origin, key_id, spki, point = key
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
        if not holds(point, text, *numbers_in(signature[4:])) or (openssl and not openssl_holds(spki, text, signature[4:])):
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
        if sha_of_file(*path.split("/")).hex() != digest:
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


SAID = {}  # by Run, what the board said of itself when the Run began
SERIALS, BOARDS, TOLD = {}, set(), []  # serial numbers with an open intent or without; boards; checkpoints that entries tell of


def note_entry(body, number, issued, is_part):  # keeps what an entry says of certificates, receipts, boards and checkpoints
    entry = json.loads(body)
    if entry["seq"] != number:
        fail("entry %d says it is entry %d" % (number, entry["seq"]))
    serial = (entry.get("cert") or {}).get("serial")
    if not serial and entry["type"] in ("cert.issue.intent", "cert.issued", "cert.issue.failed", "cert.issue.unresolved"):
        fail("entry %d names no serial number" % number)
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
    if is_part and (entry.get("board") or {}).get("id"):
        BOARDS.add(entry["board"]["id"])
    if entry["type"] == "log.checkpoint":
        TOLD.append((number, int(entry["details"]["size"]), entry["details"]["root"]))
    run, details = (entry.get("run") or {}).get("id"), entry.get("details") or {}
    if entry["type"] == "board.admitted":
        SAID[run] = entry["board"]
    if details.get("receipt"):
        RECEIPTS.add(number, entry, SAID.get(run), issued)
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


class Tiles:  # compares the tiles of the bundle with those of the leaves (C2SP tlog-tiles)
    def __init__(self):
        self.levels, self.wrong = [], ""  # for each level the number of the tile and its hashes so far; the first tile of another log

    def add(self, hash, level=0):
        if level == len(self.levels):
            self.levels.append((0, []))
        self.levels[level][1].append(hash)
        if len(self.levels[level][1]) == 256:
            self.compare(level)

    def compare(self, level):
        n, hashes = self.levels[level]
        self.levels[level] = (n + 1, [])
        path = tile(level, n, len(hashes))
        MADE.add("/".join(path))
        if read(*path) != b"".join(hashes):
            self.wrong = self.wrong or "tile %d/%d is not of this log" % (level, n)
        if len(hashes) == 256:
            self.add(root_of(hashes), level + 1)

    def end(self):
        for level, (_, hashes) in enumerate(list(self.levels)):
            if hashes:
                self.compare(level)
        return self.wrong


def check_whole(size, root, held, issued, key):  # all entries make the tree of the checkpoint, and of each other checkpoint
    stored = stored_checkpoints(size, key)
    wanted = {at for _, at, _ in held} | set(stored)
    tiles, roots, found = Tiles(), Roots(), {}
    for n in range((size + 255) // 256):
        width = min(256, size - n * 256)
        MADE.add("/".join(tile("entries", n, width)))
        data, at = read(*tile("entries", n, width)), 0
        for _ in range(width):
            end = at + 2 + (struct.unpack(">H", data[at:at + 2])[0] if at + 2 <= len(data) else len(data))
            if end > len(data):
                fail("entry bundle %d is cut off" % n)
            body, at = data[at + 2:end], end
            leaf = sha(b"\x00" + body)
            note_entry(body, roots.size, issued, False)
            roots.add(leaf)
            tiles.add(leaf)
            if roots.size in wanted:
                found[roots.size] = roots.root()
        if at != len(data):
            fail("entry bundle %d has octets behind its entries" % n)
    wrong = tiles.end()
    if size == 0 or roots.root() != root:
        fail("root mismatch: the entries are not those that the checkpoint was signed over")
    if wrong:
        fail(wrong)
    for name, anchor_size, anchor_root in held:
        if anchor_size > size:
            fail("%s is over %s, the bundle has %d: entries are missing, or the bundle is older" % (name, count(anchor_size, "entry", "entries"), size))
        if found[anchor_size] != anchor_root:
            fail("%s: the log was rewritten" % name)
    for stored_size, stored_root in stored.items():
        if found[stored_size] != stored_root:
            fail("checkpoints.txt: the checkpoint over %s is of another log" % count(stored_size, "entry", "entries"))
    for number, told_size, told_root in TOLD:
        if stored.get(told_size) != base64.b64decode(told_root):
            fail("checkpoints.txt: the checkpoint that entry %d tells of is missing, or has another root" % number)
    return len(held)


def stored_checkpoints(size, key):  # all checkpoints that the station signed: size and root, the oldest first
    stored, newest, last = {}, -1, b""
    for last in stored_notes():
        at, root = open_note(last, key, "checkpoints.txt")
        if at > size or at <= newest:
            fail("checkpoints.txt: the checkpoints are out of order")
        newest, stored[at] = at, root
    if not stored or last != read("checkpoint"):
        fail("checkpoints.txt: the last checkpoint is not the one of the file checkpoint")
    return stored


def stored_notes():  # the signed notes of checkpoints.txt, between which stands an empty line, one by one
    try:
        with open(os.path.join(HERE, "checkpoints.txt"), "rb") as f:
            line = f.readline(1 << 16)
            while line:
                note = b""
                while line != b"\n" or b"\n\n" not in note:
                    if not line:
                        break
                    note += line
                    if len(note) > 1 << 16:
                        fail("checkpoints.txt: a checkpoint has more than 64 KiB")
                    line = f.readline(1 << 16)
                if not re.fullmatch(b"[^\n]+\n[^\n]+\n[^\n]+\n\n(?:\xe2\x80\x94 [^\n]+\n)+", note):
                    fail("checkpoints.txt: there is more than checkpoints")
                yield note
                if line:
                    line = f.readline(1 << 16)
                    if not line:
                        fail("checkpoints.txt: there is more than checkpoints")
    except OSError as e:
        fail("checkpoints.txt: %s" % e.strerror)


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


class Receipts:  # PROTOCOL.md, "receipt": a COSE_Sign1 (RFC 9052) by the key of the certificate that the board presented
    def __init__(self):
        self.checked, self.wrong, self.later = 0, "", []  # later: those whose certificate no entry has issued so far
        self.known, self.nonces = None, set()

    def add(self, number, entry, said, issued):
        shown = entry["details"].get("presented_sha256", "")
        if shown not in issued:
            self.later.append((number, entry, said))
            return
        if self.known is None:
            self.known = [sha(base64.b64decode("".join(pem.split()))) for pem in
                          re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END", read("authorities.pem").decode(), re.S)]
        wrong = wrong_receipt(entry, said, shown, self.known, self.nonces)
        self.checked += not wrong
        if wrong and not self.wrong:
            self.wrong = "entry %d: the receipt %s" % (number, wrong)

    def end(self, issued, is_part):  # fails if one is wrong; gives the number of good ones, and of those whose certificate is elsewhere
        again, self.later = self.later, []
        for number, entry, said in again:
            self.add(number, entry, said, issued)
        if self.later and not is_part:
            fail("entry %d: the certificate of the receipt is not in the bundle" % self.later[0][0])
        if self.wrong:
            fail(self.wrong)
        return self.checked, len(self.later)


RECEIPTS = Receipts()


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
    certificate = read("certificates", shown + ".der")
    try:
        key = point_of(certificate[certificate.find(SPKI):][:len(SPKI) + 65])
    except ValueError:
        return "is of a certificate without a key on P-256"
    is_signed = holds(key, signed, int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    source = str(receipt["hs"]) + (" caller %d" % receipt["dc"] if "dc" in receipt else "")
    for bad, text in ((not is_signed, "is not signed by the key of the certificate that the board presented"),
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
    key, vkey = open_key(bundled), bundled
    size, root = open_note(read("checkpoint"), key, "checkpoint", openssl=True)
    held = [(name,) + open_note(note, key, name) for content, name in anchors for note in notes_in(content, key[0], name)]
    is_part, issued = os.path.isdir(os.path.join(HERE, "proofs")), {}
    if "report.html.p7s" in there and "SHA256SUMS.p7s" not in there:
        fail("SHA256SUMS.p7s: No such file; the report is signed, so the bundle was, too")
    signatures = [signed(name, vkey) for name in (["SHA256SUMS"] if is_part else ["SHA256SUMS", "report.html"])]
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
    receipts, elsewhere = RECEIPTS.end(issued, is_part)
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
