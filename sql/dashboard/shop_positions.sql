-- title: Position on the page
-- page: batch
-- chart: bar
-- order: 160
-- about: How often a model is clicked, by where on the page it stands.
-- A row is a position. Per model, since there are not as many models of each: a plain count
-- of clicks would mostly tell how much is on offer. Reads location, clothing_model and the
-- filters' columns of the days asked for.
SELECT
  location AS position,
  ROUND(SAFE_DIVIDE(COUNT(*), APPROX_COUNT_DISTINCT(clothing_model)), 1) AS clicks_per_model
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
GROUP BY location
ORDER BY clicks_per_model DESC, position
