-- title: Clicks per session
-- page: batch
-- chart: number
-- order: 30
-- about: How many products a session clicks on average.
-- A row for the range. Reads session_id and the filters' columns of the days asked for.
SELECT ROUND(SAFE_DIVIDE(COUNT(*), APPROX_COUNT_DISTINCT(session_id)), 2) AS clicks_per_session
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
