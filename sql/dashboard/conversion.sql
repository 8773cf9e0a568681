-- title: Conversion
-- page: stream
-- chart: number
-- order: 40
-- unit: percent
-- about: Of a hundred sessions, how many bought something; bots are left out.
-- A row for the range. Reads session_id, event_type and the filters' columns of the days asked for.
SELECT
  ROUND(100 * SAFE_DIVIDE(
    APPROX_COUNT_DISTINCT(IF(event_type = 'purchase', session_id, NULL)),
    APPROX_COUNT_DISTINCT(session_id)
  ), 2) AS conversion
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
  AND is_bot IS NOT TRUE
