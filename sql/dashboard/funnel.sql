-- title: From view to purchase
-- page: stream
-- chart: funnel
-- order: 120
-- unit: count
-- about: How many sessions got as far as each step; bots are left out.
-- A row is a step. Steps are counted apart from each other, each to within about two percent: a session
-- that began before the range may be in a later step alone. Reads session_id, event_type and the filters'
-- columns of the days asked for.
SELECT
  REPLACE(event_type, '_', ' ') AS step,
  APPROX_COUNT_DISTINCT(session_id) AS sessions
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND event_type IN ('product_view', 'add_to_cart', 'checkout', 'purchase')
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
  AND is_bot IS NOT TRUE
GROUP BY event_type
ORDER BY
  CASE event_type
    WHEN 'product_view' THEN 1
    WHEN 'add_to_cart' THEN 2
    WHEN 'checkout' THEN 3
    ELSE 4
  END
