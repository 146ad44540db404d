-- Schema 4: a Run has what the board said of itself, so that the boards with a certain firmware
-- are found without reading the log.

ALTER TABLE runs ADD COLUMN board_type TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN firmware_sha256 TEXT NOT NULL DEFAULT ''; -- 64 hexadecimal digits
ALTER TABLE runs ADD COLUMN huk TEXT NOT NULL DEFAULT '';             -- source of the hardware unique key, and TF-M caller
DROP TRIGGER run_closed_once;
UPDATE runs SET (board_type, firmware, firmware_sha256, huk) = (
	SELECT coalesce(json_extract(body, '$.board.type'), ''), coalesce(json_extract(body, '$.board.firmware'), ''),
		coalesce(json_extract(body, '$.board.sha256'), ''), coalesce(json_extract(body, '$.board.huk'), '')
	FROM (SELECT CAST(body AS TEXT) AS body FROM audit_entry WHERE seq = runs.first_entry));
CREATE TRIGGER run_closed_once BEFORE UPDATE ON runs WHEN OLD.ending IS NOT NULL
	BEGIN SELECT RAISE(ABORT, 'the Run is closed'); END;

UPDATE state SET value = '4' WHERE key = 'schema';
