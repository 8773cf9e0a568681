-- title: Response time, p95
-- page: stream
-- chart: number
-- order: 70
-- unit: ms
-- about: Ninety-five of a hundred pages came at least as fast as this.
-- A row for the range. Reads response_time_ms and the filters' columns of the days asked for.
SELECT APPROX_QUANTILES(response_time_ms, 100)[OFFSET(95)] AS p95
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND (@event_type IS NULL OR event_type = @event_type)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
