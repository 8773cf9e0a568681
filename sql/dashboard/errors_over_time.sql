-- title: Errors by status
-- page: stream
-- chart: column
-- order: 170
-- unit: count
-- about: How many errors visitors got, by HTTP status.
-- A row is a bucket of time and a status. Reads event_timestamp, event_type, status_code and the filters'
-- columns of the days asked for; the table is clustered by event_type, so little of them.
SELECT
  TIMESTAMP_SECONDS(DIV(UNIX_SECONDS(event_timestamp), @bucket_secs) * @bucket_secs) AS time,
  IFNULL(CAST(status_code AS STRING), 'none') AS status,
  COUNT(*) AS errors
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND event_type = 'error'
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
GROUP BY 1, 2
ORDER BY 1, 2
