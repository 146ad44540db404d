-- Schema 2. What a station may certify of an order follows from one view, a closing counts under a checkpoint only, and reasons are on record.

ALTER TABLE work_order ADD COLUMN reason text NOT NULL DEFAULT '';
ALTER TABLE work_order_closed ADD COLUMN reason text NOT NULL DEFAULT '';

-- A freeze that the file hub.mark caused has the number in the file, so that the next start does not freeze again.
ALTER TABLE lease_freeze ADD COLUMN marked bigint;

ALTER TABLE station_order ADD COLUMN ours boolean NOT NULL DEFAULT false; -- the order key of the hub has signed it
ALTER TABLE station_order ADD COLUMN closed_at bigint;                    -- the entry that closed the order for good; NULL: none
UPDATE station_order o SET ours = revision > 0, closed_at = CASE WHEN closed THEN (SELECT next - 1 FROM station_state st WHERE st.station = o.station) END;
ALTER TABLE station_order DROP COLUMN closed;

-- share is what a station may certify of an order at most: the greatest of its leases, also of one that the hub forgot in a restore and the log of the
-- station names. A station that has closed the order for good gives back what it has not used, but only when a checkpoint covers the closing: whoever has
-- the TLS key of a station can send entries, and only the audit key signs checkpoints.
CREATE VIEW order_share AS
	SELECT work_order, station, coalesce(l.share, 0) AS leased, coalesce(l.revision, 0) AS revision, l.until,
		CASE WHEN o.closed_at < st.signed THEN o.counted ELSE greatest(l.share, o.share) END AS share
	FROM (SELECT work_order, station, max(share) AS share, max(revision) AS revision, max(until) AS until FROM lease GROUP BY work_order, station) l
	FULL JOIN (SELECT work_order, station, counted, share, closed_at FROM station_order WHERE ours) o USING (work_order, station)
	JOIN station_state st USING (station);

CREATE OR REPLACE FUNCTION lease_fits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	given bigint;
BEGIN
	-- One lease of an order at a time. The lock ends with the transaction.
	PERFORM 1 FROM public.work_order WHERE id = NEW.work_order FOR UPDATE;
	SELECT greatest(NEW.share, max(share) FILTER (WHERE station = NEW.station)) + coalesce(sum(share) FILTER (WHERE station <> NEW.station), 0)
		INTO given FROM public.order_share WHERE work_order = NEW.work_order;
	IF given > (SELECT quota FROM public.work_order WHERE id = NEW.work_order) THEN
		RAISE EXCEPTION 'leases of % would be % boards together, more than its quota', NEW.work_order, given USING ERRCODE = 'check_violation';
	END IF;
	RETURN NEW;
END $$;
