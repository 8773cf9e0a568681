-- title: Response times
-- page: stream
-- chart: line
-- order: 160
-- unit: ms
-- about: How long pages took: half came within p50, all but one in a hundred within p99.
-- A row is a bucket of time. Reads event_timestamp, response_time_ms and the filters' columns of the days
-- asked for.
WITH pages AS (
  SELECT
    TIMESTAMP_SECONDS(DIV(UNIX_SECONDS(event_timestamp), @bucket_secs) * @bucket_secs) AS time,
    response_time_ms
  FROM clickstream_analytics.clicks_raw
  WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
    AND event_timestamp >= @from AND event_timestamp < @to
    AND response_time_ms IS NOT NULL
    AND (@event_type IS NULL OR event_type = @event_type)
    AND (@category IS NULL OR category = @category)
    AND (@country IS NULL OR country = @country)
)
SELECT
  time,
  APPROX_QUANTILES(response_time_ms, 100)[OFFSET(50)] AS p50,
  APPROX_QUANTILES(response_time_ms, 100)[OFFSET(95)] AS p95,
  APPROX_QUANTILES(response_time_ms, 100)[OFFSET(99)] AS p99
FROM pages
GROUP BY time
ORDER BY time
