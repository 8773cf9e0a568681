-- title: Rejections by reason
-- page: stream
-- chart: column
-- order: 180
-- unit: count
-- about: How many records of live events were refused and are dead letters now, by reason.
-- A row is a bucket of time and a code. A letter is of live events where its pipeline has written any of
-- the days asked for, or of the week before, to clicks_raw: of a day on which all is refused there is none.
-- Reads timestamp, code and pipeline of the days asked for of dead_letter, plugin_set of those days and
-- the week before of clicks_raw, and plugin_sets; a record that was refused again counts again.
SELECT
  TIMESTAMP_SECONDS(DIV(UNIX_SECONDS(timestamp), @bucket_secs) * @bucket_secs) AS time,
  code,
  COUNT(*) AS letters
FROM clickstream_analytics.dead_letter
WHERE timestamp >= @from AND timestamp < @to
  AND pipeline IN (
    SELECT pipeline
    FROM clickstream_analytics.plugin_sets
    WHERE plugin_set IN (
      SELECT plugin_set
      FROM clickstream_analytics.clicks_raw
      WHERE event_date BETWEEN DATE_SUB(DATE(@from), INTERVAL 7 DAY) AND DATE(@to)
    )
  )
GROUP BY 1, 2
ORDER BY 1, 2
