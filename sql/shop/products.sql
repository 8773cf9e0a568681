-- Which products sell best.
-- Grain: a product, at most 50; bots are left out. Revenue is less discounts, and exact.
-- Reads view shop_items; bound by event_date.
SELECT
  product_id,
  MAX(name) AS name,
  MAX(category) AS category,
  COUNT(*) AS purchases,
  SUM(quantity) AS pieces,
  SUM(revenue) AS revenue
FROM clickstream_analytics.shop_items
WHERE event_type = 'purchase' AND is_bot IS NOT TRUE
GROUP BY product_id
ORDER BY revenue DESC, product_id
LIMIT 50
