-- Schema 1. A file is never changed after a release; a later schema is a file with the next number.
--
-- Evidence is append-only: rows are inserted and never changed, by nobody, see the triggers at the end. What a station said last lies in
-- station_state and station_order, and follows from the evidence. Each row names the station. Times are those of the entries of the station's log;
-- "received" and "seen" are those of the hub.

CREATE TABLE station (
	id       smallint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	name     text NOT NULL UNIQUE,
	log_key  text NOT NULL UNIQUE, -- verifier key of its audit log
	added    timestamptz NOT NULL DEFAULT now()
);

-- A branch of a log begins where a person accepted a log that does not continue the one before. Branch 0 is the first.
CREATE TABLE branch (
	station  smallint NOT NULL REFERENCES station,
	number   integer NOT NULL CHECK (number >= 0),
	base     bigint NOT NULL CHECK (base >= 0), -- entries that it shares with the branch before
	operator text NOT NULL,
	reason   text NOT NULL,
	opened   timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (station, number)
);

CREATE TABLE entry (
	station  smallint NOT NULL REFERENCES station,
	branch   integer NOT NULL,
	seq      bigint NOT NULL,
	body     bytea NOT NULL, -- canonical form, whose record hash is in the tree
	hashes   bytea NOT NULL, -- of the subtrees that the entry completes, level 0 first, 32 octets each
	received timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (station, seq, branch)
);

CREATE TABLE checkpoint (
	station  smallint NOT NULL REFERENCES station,
	branch   integer NOT NULL,
	size     bigint NOT NULL,
	note     bytea NOT NULL,
	received timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (station, branch, size)
);

-- A checkpoint that the audit key signed and that does not fit: the proof of a fork.
CREATE TABLE checkpoint_refused (
	station  smallint NOT NULL REFERENCES station,
	note     bytea NOT NULL,
	why      text NOT NULL,
	received timestamptz NOT NULL DEFAULT now()
);

-- The first station that signed for a board, a key or a serial number has the row. A primary key makes stations that come at once wait for each other.
CREATE TABLE board (
	board_id uuid PRIMARY KEY,
	station  smallint NOT NULL REFERENCES station,
	seq      bigint NOT NULL,
	at       timestamptz NOT NULL
);
CREATE TABLE board_key (
	spki     bytea PRIMARY KEY CHECK (length(spki) = 32), -- SHA-256 of the SubjectPublicKeyInfo
	board_id uuid NOT NULL,
	purpose  text NOT NULL,
	station  smallint NOT NULL REFERENCES station,
	UNIQUE (board_id, purpose)
);
CREATE TABLE certificate (
	serial     bytea PRIMARY KEY CHECK (length(serial) = 16),
	station    smallint NOT NULL REFERENCES station,
	branch     integer NOT NULL,
	seq        bigint NOT NULL, -- of the intent
	board_id   uuid NOT NULL,
	purpose    text NOT NULL,
	spki       bytea NOT NULL,
	issuer     bytea NOT NULL,
	profile    text NOT NULL,
	profile_sha256 bytea NOT NULL,
	work_order text, -- NULL: none
	run        uuid NOT NULL,
	at         timestamptz NOT NULL,
	not_after  timestamptz NOT NULL
);
CREATE INDEX certificate_board ON certificate (board_id);
CREATE INDEX certificate_order ON certificate (work_order, station) WHERE work_order IS NOT NULL;
CREATE INDEX certificate_run ON certificate (run);

CREATE TABLE certificate_event (
	station smallint NOT NULL REFERENCES station,
	branch  integer NOT NULL,
	seq     bigint NOT NULL,
	serial  bytea NOT NULL,
	status  text NOT NULL,
	reason  text NOT NULL,
	at      timestamptz NOT NULL,
	PRIMARY KEY (station, branch, seq)
);
CREATE INDEX certificate_event_serial ON certificate_event (serial);

CREATE TABLE certificate_der (
	sha256  bytea PRIMARY KEY CHECK (length(sha256) = 32),
	serial  bytea NOT NULL,
	station smallint NOT NULL REFERENCES station,
	der     bytea NOT NULL
);
CREATE INDEX certificate_der_serial ON certificate_der (serial);

CREATE TABLE run (
	id         uuid NOT NULL,
	station    smallint NOT NULL REFERENCES station,
	branch     integer NOT NULL,
	seq        bigint NOT NULL, -- of the entry that ended the Run
	bay        text NOT NULL,
	operator   text NOT NULL,
	board_id   uuid, -- NULL: the board did not say
	board_type text NOT NULL,
	firmware   bytea, -- SHA-256 of the image; NULL: the board did not say
	purpose    text NOT NULL,
	ending     text NOT NULL,
	reason     text NOT NULL,
	outcome    text NOT NULL,
	at         timestamptz NOT NULL,
	steps      jsonb NOT NULL,
	PRIMARY KEY (id, station)
);
CREATE INDEX run_at ON run USING brin (at) WITH (autosummarize = on);
CREATE INDEX run_station_at ON run (station, at DESC) INCLUDE (ending);
CREATE INDEX run_bad ON run (at, reason, ending, station) WHERE ending <> 'pass';
CREATE INDEX run_board ON run (board_id) WHERE board_id IS NOT NULL;
CREATE INDEX run_firmware ON run (firmware, at) WHERE firmware IS NOT NULL;

CREATE TABLE finding (
	id       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	kind     text NOT NULL,
	station  smallint NOT NULL REFERENCES station,
	other    smallint REFERENCES station, -- NULL: no other station
	board_id uuid,
	subject  text NOT NULL,
	detail   text NOT NULL,
	at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX finding_station ON finding (station);
CREATE INDEX finding_other ON finding (other) WHERE other IS NOT NULL;
CREATE TABLE finding_closed (
	finding  bigint PRIMARY KEY REFERENCES finding,
	operator text NOT NULL,
	reason   text NOT NULL,
	at       timestamptz NOT NULL DEFAULT now()
);
CREATE VIEW finding_open AS SELECT f.* FROM finding f WHERE NOT EXISTS (SELECT 1 FROM finding_closed c WHERE c.finding = f.id);

-- Work orders of the plant. What a station may certify of an order is in its leases.
CREATE TABLE work_order (
	id        text PRIMARY KEY,
	product   text NOT NULL,
	lot       text NOT NULL,
	quota     bigint NOT NULL CHECK (quota > 0), -- boards, at all stations together
	profiles  text[] NOT NULL,
	images    text[] NOT NULL, -- SHA-256 of the firmware images that boards may run; empty: any
	not_before timestamptz,    -- NULL: any time
	until     timestamptz NOT NULL,
	chunk     bigint NOT NULL CHECK (chunk > 0),  -- boards that a lease gives a station at most beyond those that it has certified
	hours     bigint NOT NULL CHECK (hours > 0),  -- how long a lease lasts
	file      bytea, -- that the owner signed; NULL: a person at the hub opened the order
	signature bytea,
	operator  text NOT NULL,
	opened    timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE work_order_station (
	work_order text NOT NULL REFERENCES work_order,
	station    smallint NOT NULL REFERENCES station,
	PRIMARY KEY (work_order, station)
);
CREATE TABLE work_order_closed (
	work_order text PRIMARY KEY REFERENCES work_order,
	operator   text NOT NULL,
	at         timestamptz NOT NULL DEFAULT now()
);

-- A lease is a signed order file for one station. share is all that the station may ever certify for the order: it never shrinks, because the boards
-- may be counted already. The sum over the stations of the greatest share of each never exceeds the quota, whatever happens to a station or to the hub.
CREATE TABLE lease (
	number     bigint PRIMARY KEY,
	work_order text NOT NULL REFERENCES work_order,
	station    smallint NOT NULL REFERENCES station,
	revision   bigint NOT NULL,
	share      bigint NOT NULL CHECK (share > 0),
	until      timestamptz NOT NULL,
	file       bytea NOT NULL,     -- empty: the hub forgot the lease in a restore, and learned its share from the log of the station
	signature  bytea NOT NULL,
	issued     timestamptz NOT NULL DEFAULT now(),
	UNIQUE (work_order, station, revision)
);
CREATE INDEX lease_station ON lease (station, work_order);

CREATE FUNCTION lease_fits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	given bigint;
BEGIN
	-- One lease of an order at a time. The lock ends with the transaction.
	PERFORM 1 FROM public.work_order WHERE id = NEW.work_order FOR UPDATE;
	IF length(NEW.file) = 0 THEN
		RETURN NEW; -- it was given already; the hub reports it as a finding if the sum is too great
	END IF;
	-- A station that has closed the order for good gives back what it has not used.
	SELECT coalesce(sum(CASE WHEN coalesce(o.closed, false) THEN o.counted ELSE greatest END), 0) INTO given FROM (
		SELECT station, max(share) AS greatest FROM (
			SELECT station, share FROM public.lease WHERE work_order = NEW.work_order
			UNION ALL SELECT NEW.station, NEW.share) every GROUP BY station) shares
		LEFT JOIN public.station_order o ON o.station = shares.station AND o.work_order = NEW.work_order;
	IF given > (SELECT quota FROM public.work_order WHERE id = NEW.work_order) THEN
		RAISE EXCEPTION 'leases of % would be % boards together, more than its quota', NEW.work_order, given USING ERRCODE = 'check_violation';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER lease_fits BEFORE INSERT ON lease FOR EACH ROW EXECUTE FUNCTION lease_fits();

-- The hub was older than what a station remembered, so no lease is given until each station of the order has told all; see lease.go.
CREATE TABLE lease_freeze (
	id  bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	why text NOT NULL,
	at  timestamptz NOT NULL DEFAULT now()
);
-- A station that has told all since a freeze.
CREATE TABLE freeze_told (
	frozen   bigint NOT NULL REFERENCES lease_freeze,
	station smallint NOT NULL REFERENCES station,
	at      timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (frozen, station)
);
CREATE TABLE freeze_accepted (
	frozen   bigint PRIMARY KEY REFERENCES lease_freeze,
	operator text NOT NULL,
	reason   text NOT NULL,
	at       timestamptz NOT NULL DEFAULT now()
);

-- What a station said last. These two tables follow from the rows above.
CREATE TABLE station_state (
	station   smallint PRIMARY KEY REFERENCES station,
	turn      bigint NOT NULL DEFAULT 0,
	branch    integer NOT NULL DEFAULT 0,
	next      bigint NOT NULL DEFAULT 0, -- the first entry that is missing
	signed    bigint NOT NULL DEFAULT 0, -- entries under the newest checkpoint
	size      bigint NOT NULL DEFAULT 0, -- of the log, as the station said last
	log_time  timestamptz,               -- of the newest entry
	seen      timestamptz                -- when the station was here last
);
CREATE TABLE station_order (
	station    smallint NOT NULL REFERENCES station,
	work_order text NOT NULL,
	counted    bigint NOT NULL, -- boards that the station has signed for
	share      bigint NOT NULL,
	revision   bigint NOT NULL, -- 0: nobody has signed the order
	closed     boolean NOT NULL,
	PRIMARY KEY (station, work_order)
);

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
DO $$
DECLARE
	evidence text;
BEGIN
	FOR evidence IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('station_state', 'station_order', 'schema_step')
	LOOP
		EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I FOR EACH STATEMENT EXECUTE FUNCTION append_only()', evidence);
	END LOOP;
END $$;
