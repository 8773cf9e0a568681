-- Which products earn most, and which are looked at but not bought.
-- Grain: a product, at most 50. Revenue is in euros, at the rates of view exchange_rates.
-- Reads what view product_performance does; bound by event_date.
SELECT
  product_id,
  MAX(category) AS category,
  SUM(views) AS views,
  SUM(carts) AS carts,
  SUM(purchases) AS purchases,
  ROUND(100 * SAFE_DIVIDE(SUM(purchases), SUM(views)), 2) AS purchases_per_100_views,
  ROUND(SUM(revenue_eur), 2) AS revenue_eur
FROM clickstream_analytics.product_performance
GROUP BY product_id
ORDER BY revenue_eur DESC, purchases DESC, views DESC, product_id
LIMIT 50
