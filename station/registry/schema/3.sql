-- Schema 3: every Run that met a board has a row, a refused Run too; a Pass has an outcome; a
-- bay that was stopped stays stopped over a restart.
--
-- A step is never rewritten: a registry is compared with the statements that made it.

CREATE TABLE runs_3 (
	id          TEXT PRIMARY KEY CHECK (length(id) = 36),
	board_id    TEXT CHECK (length(board_id) = 36), -- NULL: the board did not say
	purpose     TEXT NOT NULL CHECK (purpose IN ('tls', 'cose')),
	hardware_id BLOB,
	bay         TEXT NOT NULL,
	operator    TEXT NOT NULL,
	work_order  TEXT,
	rework      TEXT NOT NULL,
	begun       TEXT NOT NULL,
	admitted    INTEGER NOT NULL CHECK (admitted IN (0, 1)), -- 0: refused; such a board may be unknown to boards
	closed      TEXT,
	ending      TEXT CHECK (ending IN ('pass', 'reject', 'fault', 'aborted')),
	reason      TEXT NOT NULL DEFAULT '',
	outcome     TEXT CHECK (outcome IN ('issued', 'confirmed', 'reworked')), -- NULL for a Pass of schema 2
	first_entry INTEGER NOT NULL, -- of the audit log: all that names the Run while it is open
	last_entry  INTEGER,          -- stands between these two
	CHECK ((closed IS NULL) = (ending IS NULL) AND (closed IS NULL) = (last_entry IS NULL)),
	CHECK (admitted OR ending IS NOT NULL AND ending <> 'pass'),
	CHECK (outcome IS NULL OR ending = 'pass'),
	CHECK (board_id IS NOT NULL OR NOT admitted)
) STRICT, WITHOUT ROWID;
INSERT INTO runs_3 SELECT id, board_id, purpose, hardware_id, bay, operator, work_order, rework,
	admitted, 1, closed, ending, reason, NULL, first_entry, last_entry FROM runs;
DROP TABLE runs;
ALTER TABLE runs_3 RENAME TO runs;
CREATE INDEX runs_begun ON runs (begun);
CREATE INDEX runs_of_board ON runs (board_id);
-- A board has at most one open Run.
CREATE UNIQUE INDEX run_open ON runs (board_id) WHERE ending IS NULL;
CREATE TRIGGER run_closed_once BEFORE UPDATE ON runs WHEN OLD.ending IS NOT NULL
	BEGIN SELECT RAISE(ABORT, 'the Run is closed'); END;
CREATE TRIGGER run_stays BEFORE DELETE ON runs
	BEGIN SELECT RAISE(ABORT, 'Runs stay'); END;

-- Bays that were stopped by I4. stopped is NULL after the acknowledgement of an operator.
CREATE TABLE bays (
	name     TEXT PRIMARY KEY,
	stopped  TEXT,
	reason   TEXT NOT NULL,
	board_id TEXT,
	run      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

UPDATE state SET value = '3' WHERE key = 'schema';
-- The number of the newest log.startup entry.
INSERT INTO state SELECT 'startup', CAST(max(seq) AS TEXT) FROM audit_entry
	WHERE instr(body, CAST('"type":"log.startup"' AS BLOB)) HAVING count(*) > 0;
