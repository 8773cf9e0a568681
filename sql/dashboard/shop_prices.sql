-- title: Price against the category
-- page: batch
-- chart: bar
-- order: 150
-- about: How often a model is clicked that costs more than its category does on average, and one that does not.
-- A row is a category and a side of its average. Per model, since there are not as many models of each: a
-- plain count of clicks would mostly tell how much is on offer. Reads category, price_above_average,
-- clothing_model and the filters' columns of the days asked for.
SELECT
  category,
  IF(price_above_average, 'above the average', 'not above it') AS price,
  ROUND(SAFE_DIVIDE(COUNT(*), APPROX_COUNT_DISTINCT(clothing_model)), 1) AS clicks_per_model
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
GROUP BY 1, 2
ORDER BY 1, 2
