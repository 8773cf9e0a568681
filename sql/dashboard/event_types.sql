-- title: Event types
-- page: stream
-- chart: bar
-- order: 140
-- unit: count
-- about: What visitors do most.
-- A row is an event type. Reads event_type and the filters' columns of the days asked for.
SELECT
  event_type,
  COUNT(*) AS events
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
GROUP BY event_type
ORDER BY events DESC, event_type
