-- title: Error rate
-- page: stream
-- chart: number
-- order: 60
-- unit: percent
-- about: Of a hundred events, how many were errors.
-- A row for the range. Reads event_type and the filters' columns of the days asked for.
SELECT ROUND(100 * SAFE_DIVIDE(COUNTIF(event_type = 'error'), COUNT(*)), 2) AS error_rate
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
