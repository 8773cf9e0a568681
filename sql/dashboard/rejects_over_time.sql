-- title: Rejections by reason
-- page: stream
-- chart: column
-- order: 180
-- unit: count
-- about: How many records were refused and are dead letters now, by reason.
-- A row is a bucket of time and a code. Reads timestamp and code of the days asked for of dead_letter,
-- of all pipelines; a record that was refused again counts again.
SELECT
  TIMESTAMP_SECONDS(DIV(UNIX_SECONDS(timestamp), @bucket_secs) * @bucket_secs) AS time,
  code,
  COUNT(*) AS letters
FROM clickstream_analytics.dead_letter
WHERE timestamp >= @from AND timestamp < @to
GROUP BY 1, 2
ORDER BY 1, 2
