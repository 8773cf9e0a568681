-- title: Events over time
-- page: stream
-- chart: area
-- order: 110
-- unit: count
-- about: How much happens, by type of event.
-- A row is a bucket of time and an event type. Reads event_timestamp, event_type and the filters' columns
-- of the days asked for.
SELECT
  TIMESTAMP_SECONDS(DIV(UNIX_SECONDS(event_timestamp), @bucket_secs) * @bucket_secs) AS time,
  event_type,
  COUNT(*) AS events
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND (@event_type IS NULL OR event_type = @event_type)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
GROUP BY 1, 2
ORDER BY 1, 2
