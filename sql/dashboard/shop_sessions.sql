-- title: Sessions
-- page: batch
-- chart: number
-- order: 10
-- unit: count
-- about: How many sessions the shop had, to within about two percent.
-- A row for the range. Reads session_id and the filters' columns of the days asked for.
SELECT APPROX_COUNT_DISTINCT(session_id) AS sessions
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
