-- Schema 6: what a debug probe did in a Run, and the locks of debug ports.

ALTER TABLE runs ADD COLUMN probe TEXT NOT NULL DEFAULT '';          -- serial number of the probe; empty: none was asked
ALTER TABLE runs ADD COLUMN target TEXT NOT NULL DEFAULT '';         -- the chip, as the programmer names it
ALTER TABLE runs ADD COLUMN flashed_sha256 TEXT NOT NULL DEFAULT ''; -- of the image file that the Run wrote, 64 hexadecimal digits

-- One row for each board whose debug port the station wanted to lock, or found locked. A lock cannot be undone,
-- so the row begins as an intent, before the lock.
CREATE TABLE locks (
	board_id      TEXT PRIMARY KEY REFERENCES boards (id),
	run           TEXT NOT NULL REFERENCES runs (id), -- of the newest change
	probe         TEXT NOT NULL,
	target        TEXT NOT NULL,
	kind          TEXT NOT NULL,
	recipe_sha256 BLOB NOT NULL CHECK (length(recipe_sha256) = 32),
	key           TEXT NOT NULL, -- fingerprint of the key that opens the port; empty: there is none
	state         TEXT NOT NULL CHECK (state IN ('intended', 'locked', 'open')), -- locked and open were read from the chip
	changed       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER lock_stays BEFORE DELETE ON locks
	BEGIN SELECT RAISE(ABORT, 'locks stay'); END;

UPDATE state SET value = '6' WHERE key = 'schema';
