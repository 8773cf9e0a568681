-- title: Data freshness
-- page: stream
-- chart: number
-- order: 80
-- unit: seconds
-- about: How long ago the newest event in the table happened.
-- A row. The end of the range and the filters do not matter; its beginning only bounds which days are
-- read. Producers' clocks may be ahead, so an event can be up to a day younger than now; it counts once
-- its time has come. Reads event_timestamp.
SELECT ROUND(TIMESTAMP_DIFF(@now, MAX(event_timestamp), MILLISECOND) / 1000.0, 1) AS freshness
FROM clickstream_analytics.clicks_raw
WHERE event_date >= DATE(@from)
  AND event_timestamp <= @now
