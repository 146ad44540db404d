#!/usr/bin/env python3
# Edition 3.
"""Checks the audit log of this bundle with Python's standard library and openssl alone.

usage: python3 check.py [--key FILE] [--anchor CHECKPOINT]

--key     verifier key that you got from elsewhere (default: log.vkey of the bundle)
--anchor  file with checkpoints that you kept elsewhere, also in the text of a mail; may be repeated
It exits with 0 only when everything holds, else with 1 and the reason.
"""
import base64, hashlib, json, os, re, struct, subprocess, sys, tempfile

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


def open_note(note, vkey, name):  # C2SP signed-note, ECDSA P-256 (type 0x02)
    origin, key_id, key = vkey.strip().split("+", 2)
    key = base64.b64decode(key)
    spki = key[1:]
    if key[0] != 2 or sha(spki)[:4].hex() != key_id:
        fail("the verifier key is not an ECDSA key with its key id")
    text, _, signatures = note.replace(b"\r\n", b"\n").partition(b"\n\n")
    text += b"\n"
    for line in signatures.decode().splitlines():
        dash, who, signature = (line.split(" ") + ["", ""])[:3]
        signature = base64.b64decode(signature or "")
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
        lines = text.decode().split("\n")
        if lines[0] != origin:
            fail("%s: another log" % name)
        return int(lines[1]), base64.b64decode(lines[2])
    fail("%s: not signed by this key" % name)


def notes_in(content, origin, name):  # a file of checkpoints: below the header of a mail, quoted, with a QR code behind
    lines = []
    for line in content.decode("utf-8-sig", "replace").splitlines():
        line = line.rstrip(" \t\r").lstrip(" \t>")
        if line.strip(" \u2580\u2584\u2588") or (not line and lines and lines[-1]):
            lines.append(line)
    notes, signatures, signature = [], 0, re.compile("\u2014 \\S+ [A-Za-z0-9+/]{48,}=*$")
    for at, line in enumerate(lines):
        signatures += signature.match(line) is not None
        if line != origin or lines[at + 3:at + 4] != [""] or not lines[at + 1].isdigit():
            continue
        end = at + 4
        while end < len(lines) and signature.match(lines[end]):
            end, signatures = end + 1, signatures - 1
        notes.append(("\n".join(lines[at:end]) + "\n").encode())
    if not notes or signatures:  # a signature outside of a checkpoint: the checkpoint was damaged
        fail("%s: not a checkpoint of %s" % (name, origin))
    return notes


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
        with open(args.pop(0), "rb") as f:
            content = f.read()
        if option == "--key":
            key = content.decode()
        else:
            anchors.append((content, "anchor %d" % (len(anchors) + 1)))
    # 1. Every file is the one of SHA256SUMS.
    listed = {}
    for line in read("SHA256SUMS").decode().splitlines():
        listed[line[66:]] = line[:64]
    for folder, _, files in os.walk(HERE):
        for name in files:
            path = os.path.relpath(os.path.join(folder, name), HERE).replace(os.sep, "/")
            if path not in ("SHA256SUMS", "SHA256SUMS.p7s") and path not in listed:
                fail("%s does not belong to the bundle" % path)
    for path, digest in listed.items():
        if sha(read(*path.split("/"))).hex() != digest:
            fail("%s was changed" % path)
    # 2. The checkpoint is signed.
    trusted = "the key that you gave" if key else "the key of the bundle: compare it with the one from the ceremony"
    key = key or read("log.vkey").decode()
    size, root = open_note(read("checkpoint"), key, "checkpoint")
    files_signed = [signed(name, key) for name in ("SHA256SUMS", "report.html")][0]
    # 3. All entries make the tree of the checkpoint, and of each checkpoint from elsewhere.
    leaves, issued = [], {}
    for n in range((size + 255) // 256):
        width = min(256, size - n * 256)
        data = read(*tile("entries", n, width))
        for _ in range(width):
            length = struct.unpack(">H", data[:2])[0]
            body, data = data[2:2 + length], data[2 + length:]
            entry = json.loads(body)
            if entry["seq"] != len(leaves):
                fail("entry %d says it is entry %d" % (len(leaves), entry["seq"]))
            if entry["type"] == "cert.issued":
                issued[entry["cert"]["sha256"]] = entry["seq"]
            leaves.append(sha(b"\x00" + body))
        if data:
            fail("entry bundle %d has octets behind its entries" % n)
    if size == 0 or root_of(leaves) != root:
        fail("root mismatch: the entries are not those that the checkpoint was signed over")
    level, hashes = 0, leaves
    while hashes:
        for n in range((len(hashes) + 255) // 256):
            some = hashes[n * 256:n * 256 + 256]
            if read(*tile(level, n, len(some))) != b"".join(some):
                fail("tile %d/%d is not of this log" % (level, n))
        hashes = [root_of(hashes[n:n + 256]) for n in range(0, len(hashes) - 255, 256)]
        level += 1
    held = [(note, name) for content, name in anchors for note in notes_in(content, key.split("+")[0], name)]
    for note, name in held:
        anchor_size, anchor_root = open_note(note, key, name)
        if anchor_size > size:
            fail("%s is over %s, the bundle has %d: entries are missing, or the bundle is older" % (name, count(anchor_size, "entry", "entries"), size))
        if root_of(leaves[:anchor_size]) != anchor_root:
            fail("%s: the log was rewritten" % name)
    # 4. The certificates are those of the log.
    folder = os.path.join(HERE, "certificates")
    there = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    if there != {digest + ".der" for digest in issued}:
        fail("the certificates are not those that the log says were issued")
    for digest in issued:
        if sha(read("certificates", digest + ".der")).hex() != digest:
            fail("certificate %s was changed" % digest)
    print("OK: %s, %s, root %s" % (count(size, "entry", "entries"), count(len(issued), "certificate", "certificates"), base64.b64encode(root).decode()))
    print("    signed by %s; %s from elsewhere" % (trusted, count(len(held), "checkpoint", "checkpoints")))
    print("    the files %s" % ("are signed by the audit key" if files_signed else "are not signed, only the checkpoint is"))


main()
