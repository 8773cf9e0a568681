-- Which pages are slowest. A page is a url without what follows the question mark.
-- Grain: a page, at most 20; of pages with fewer than five events nothing can be said.
-- Reads url, page_category, response_time_ms of clicks; bound by event_date.
SELECT
  SUBSTR(url, 1, STRPOS(CONCAT(url, '?'), '?') - 1) AS page,
  page_category,
  COUNT(*) AS events,
  APPROX_QUANTILES(response_time_ms, 100)[OFFSET(50)] AS p50_ms,
  APPROX_QUANTILES(response_time_ms, 100)[OFFSET(95)] AS p95_ms,
  MAX(response_time_ms) AS slowest_ms
FROM clickstream_analytics.clicks
WHERE url IS NOT NULL AND response_time_ms IS NOT NULL
GROUP BY 1, 2
HAVING COUNT(*) >= 5
ORDER BY p95_ms DESC, slowest_ms DESC, page
LIMIT 20
