-- Schema 2, the first that was released. Later schemas are steps in files of their own; this file is never rewritten.
--
-- The tables of the registry. Each row follows from entries of the audit log that were
-- committed with it, and VerifyAudit compares the two. Times are RFC 3339 in UTC with
-- nine digits after the point. No row is ever deleted.

CREATE TABLE state (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO state VALUES ('schema', '2');

CREATE TABLE work_orders (
	id      TEXT PRIMARY KEY,
	product TEXT NOT NULL,
	quota   INTEGER NOT NULL CHECK (quota > 0),
	counted INTEGER NOT NULL DEFAULT 0 CHECK (counted BETWEEN 0 AND quota), -- boards that were signed for
	opened  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE boards (
	id          TEXT PRIMARY KEY CHECK (length(id) = 36),
	hardware_id BLOB NOT NULL CHECK (length(hardware_id) BETWEEN 1 AND 16),
	type        TEXT NOT NULL,
	first_seen  TEXT NOT NULL,
	scrapped    TEXT
) STRICT, WITHOUT ROWID;

-- I4: one public key belongs to one board, and a board has one key for each
-- purpose, for ever.
CREATE TABLE keys (
	spki_sha256 BLOB PRIMARY KEY CHECK (length(spki_sha256) = 32),
	board_id    TEXT NOT NULL REFERENCES boards (id),
	purpose     TEXT NOT NULL CHECK (purpose IN ('tls', 'cose')),
	UNIQUE (board_id, purpose)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
	id          TEXT PRIMARY KEY CHECK (length(id) = 36),
	board_id    TEXT NOT NULL REFERENCES boards (id),
	purpose     TEXT NOT NULL CHECK (purpose IN ('tls', 'cose')),
	hardware_id BLOB NOT NULL,
	bay         TEXT NOT NULL,
	operator    TEXT NOT NULL,
	work_order  TEXT REFERENCES work_orders (id),
	rework      TEXT NOT NULL,
	admitted    TEXT NOT NULL,
	closed      TEXT,
	ending      TEXT CHECK (ending IN ('pass', 'reject', 'fault', 'aborted')),
	reason      TEXT NOT NULL DEFAULT '',
	first_entry INTEGER NOT NULL, -- of the audit log: all that names the Run while it is open
	last_entry  INTEGER,          -- stands between these two
	CHECK ((closed IS NULL) = (ending IS NULL) AND (closed IS NULL) = (last_entry IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_admitted ON runs (admitted);
-- A board has at most one open Run.
CREATE UNIQUE INDEX run_open ON runs (board_id) WHERE ending IS NULL;

-- A row begins as an intent, before anything is signed (I1). From then on no other row
-- may have its serial number (I2).
CREATE TABLE certificates (
	id             INTEGER PRIMARY KEY,
	serial         BLOB NOT NULL UNIQUE CHECK (length(serial) = 16),
	board_id       TEXT NOT NULL REFERENCES boards (id),
	purpose        TEXT NOT NULL,
	spki_sha256    BLOB NOT NULL REFERENCES keys (spki_sha256),
	issuer_sha256  BLOB NOT NULL CHECK (length(issuer_sha256) = 32),
	profile        TEXT NOT NULL,
	profile_sha256 BLOB NOT NULL CHECK (length(profile_sha256) = 32),
	tbs_sha256     BLOB NOT NULL CHECK (length(tbs_sha256) = 32),
	csr_sha256     BLOB NOT NULL CHECK (length(csr_sha256) = 32),
	not_before     TEXT NOT NULL,
	not_after      TEXT NOT NULL,
	rework         INTEGER NOT NULL CHECK (rework IN (0, 1)),
	run            TEXT NOT NULL REFERENCES runs (id),
	work_order     TEXT REFERENCES work_orders (id),
	intended       TEXT NOT NULL,
	changed        TEXT NOT NULL,
	status         TEXT NOT NULL CHECK (status IN ('intended', 'failed', 'unresolved',
		'issued', 'delivered', 'active', 'superseded', 'revoked', 'scrapped')),
	reason         TEXT NOT NULL DEFAULT '',
	sha256         BLOB CHECK (length(sha256) = 32),
	der            BLOB,
	CHECK ((der IS NULL) = (sha256 IS NULL)),
	CHECK (der IS NOT NULL OR status IN ('intended', 'failed', 'unresolved', 'revoked'))
) STRICT;
CREATE INDEX certificates_of_board ON certificates (board_id, purpose);
-- I3: at most one active certificate for a board and purpose.
CREATE UNIQUE INDEX certificate_active ON certificates (board_id, purpose) WHERE status = 'active';
-- One signature at a time for a board and purpose. Recovery finds open intents with this
-- index, too.
CREATE UNIQUE INDEX certificate_intended ON certificates (board_id, purpose) WHERE status = 'intended';

-- The changes of status that a certificate may have (I7, I10).
CREATE TRIGGER certificate_life BEFORE UPDATE OF status ON certificates
	WHEN (OLD.status, NEW.status) NOT IN (VALUES
		('intended', 'issued'), ('intended', 'failed'), ('intended', 'unresolved'),
		('issued', 'delivered'), ('issued', 'revoked'), ('issued', 'scrapped'),
		('delivered', 'active'), ('delivered', 'revoked'), ('delivered', 'scrapped'),
		('active', 'superseded'), ('active', 'revoked'), ('active', 'scrapped'),
		('superseded', 'revoked'), ('unresolved', 'revoked'))
	BEGIN SELECT RAISE(ABORT, 'status transition is not allowed'); END;
CREATE TRIGGER certificate_intent_fixed BEFORE UPDATE OF id, serial, board_id, purpose, spki_sha256, issuer_sha256,
		profile, profile_sha256, tbs_sha256, csr_sha256, not_before, not_after, rework, run, work_order, intended ON certificates
	BEGIN SELECT RAISE(ABORT, 'an intent does not change'); END;
CREATE TRIGGER certificate_der_fixed BEFORE UPDATE OF der, sha256 ON certificates WHEN OLD.der IS NOT NULL
	BEGIN SELECT RAISE(ABORT, 'a certificate does not change'); END;
CREATE TRIGGER certificate_stays BEFORE DELETE ON certificates
	BEGIN SELECT RAISE(ABORT, 'certificates stay'); END;
CREATE TRIGGER board_fixed BEFORE UPDATE OF id, hardware_id, type, first_seen ON boards
	BEGIN SELECT RAISE(ABORT, 'a board does not change'); END;
CREATE TRIGGER board_stays BEFORE DELETE ON boards
	BEGIN SELECT RAISE(ABORT, 'boards stay'); END;
CREATE TRIGGER key_fixed BEFORE UPDATE ON keys
	BEGIN SELECT RAISE(ABORT, 'a key belongs to its board for ever'); END;
CREATE TRIGGER key_stays BEFORE DELETE ON keys
	BEGIN SELECT RAISE(ABORT, 'a key belongs to its board for ever'); END;
CREATE TRIGGER run_closed_once BEFORE UPDATE ON runs WHEN OLD.ending IS NOT NULL
	BEGIN SELECT RAISE(ABORT, 'the Run is closed'); END;
CREATE TRIGGER run_stays BEFORE DELETE ON runs
	BEGIN SELECT RAISE(ABORT, 'Runs stay'); END;
