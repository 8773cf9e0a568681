-- title: Sessions
-- page: stream
-- chart: number
-- order: 20
-- unit: count
-- about: How many visits there were, to within about two percent; bots are left out.
-- A row for the range. Reads session_id and the filters' columns of the days asked for.
SELECT APPROX_COUNT_DISTINCT(session_id) AS sessions
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND (@event_type IS NULL OR event_type = @event_type)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
  AND is_bot IS NOT TRUE
