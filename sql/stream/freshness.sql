-- How fresh the table was: the newest event and the newest row of each day, and how long events took
-- from when they happened until the host took them in.
-- Grain: a day. Clocks of producers may be ahead: then a delay is negative.
-- Reads event_date, event_timestamp, ingested_at of clicks; bound by event_date.
WITH delays AS (
  SELECT
    event_date,
    event_timestamp,
    ingested_at,
    TIMESTAMP_DIFF(ingested_at, event_timestamp, MILLISECOND) AS delay_ms
  FROM clickstream_analytics.clicks
)
SELECT
  event_date,
  COUNT(*) AS events,
  MAX(event_timestamp) AS newest_event,
  MAX(ingested_at) AS newest_ingested,
  APPROX_QUANTILES(delay_ms, 100)[OFFSET(50)] AS p50_delay_ms,
  APPROX_QUANTILES(delay_ms, 100)[OFFSET(95)] AS p95_delay_ms,
  MAX(delay_ms) AS longest_delay_ms
FROM delays
GROUP BY event_date
ORDER BY event_date DESC
