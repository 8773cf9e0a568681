-- title: Revenue of items
-- page: events
-- chart: number
-- order: 10
-- unit: EUR
-- about: What was bought, less discounts, to the cent; bots are left out.
-- A row is the whole range. Reads items_revenue, event_type and the filters' columns of the days asked for.
SELECT SUM(events.items_revenue) AS revenue
FROM clickstream_analytics.shop_events_raw AS events
WHERE events.event_date BETWEEN DATE(@from) AND DATE(@to)
  AND events.event_timestamp >= @from AND events.event_timestamp < @to
  AND events.event_type = 'purchase'
  AND (@country IS NULL OR events.visitor.country = @country)
  AND events.is_bot IS NOT TRUE
