use arrow::datatypes::Fields;

use super::*;

/// A text, and lists of items with a price and the shop's own number.
fn there() -> Vec<Field> {
    let item = Fields::from(vec![
        Field::new("price", ArrowType::Int64, true),
        Field::new("number", ArrowType::Int64, true),
    ]);
    let items = ArrowType::new_list(ArrowType::Struct(item), false);
    vec![Field::new("page", ArrowType::Utf8, true), Field::new("items", items, true)]
}

fn grant(names: &[&str]) -> Grant {
    Grant::Only(names.iter().map(|name| (*name).to_owned()).collect())
}

fn spec(path: &str, data_type: DataType, repeated: bool) -> ColumnSpec {
    ColumnSpec { path: path.to_owned(), data_type, repeated }
}

fn items() -> ColumnSpec {
    spec("items", DataType::Record, true)
}

fn number(path: &str) -> ColumnSpec {
    spec(path, DataType::Int64, false)
}

struct Case<'a> {
    reads: &'a [&'a str],
    writes: &'a [&'a str],
    contract: Contract,
}

impl Case<'_> {
    fn offered(&self) -> Vec<String> {
        let offer = Offer::of(&there(), &grant(self.reads), self.contract);
        offer.specs.into_iter().map(|spec| spec.path).collect()
    }

    fn wants(&self, reads: &[ColumnSpec], writes: &[ColumnSpec]) -> Result<Granted, Vec<String>> {
        let plugin = Plugin {
            reads: grant(self.reads),
            writes: grant(self.writes),
            ..Plugin::named("guest".parse().unwrap())
        };
        let needs = Needs { reads: reads.to_vec(), writes: writes.to_vec(), ..Needs::default() };
        let offer = Offer::of(&there(), &plugin.reads, self.contract);
        offer.check(&plugin.reads)?;
        let contract = self.contract;
        Wanted { offer: &offer, needs: &needs, plugin: &plugin, contract }.granted(0)
    }

    fn told(&self, reads: &[ColumnSpec], writes: &[ColumnSpec]) -> String {
        self.wants(reads, writes).err().unwrap_or_default().join("; ")
    }
}

#[test]
fn a_name_grants_all_below_it_and_a_path_no_more() {
    let contract = Contract::V0_2;
    let all = Case { reads: &["items"], writes: &[], contract };
    assert_eq!(all.offered(), ["items", "items.price", "items.number"]);
    let some = Case { reads: &["items.price"], writes: &[], contract };
    assert_eq!(some.offered(), ["items", "items.price"]);
    assert_eq!(Case { reads: &["item", "items.pric"], writes: &[], contract }.offered(), [""; 0]);

    let whole = all.wants(&[items()], &[]).ok().unwrap().reads;
    assert_eq!(whole.all[0].fields.all.len(), 2);
    let part = all.wants(&[number("items.price")], &[]).ok().unwrap().reads;
    assert_eq!(part.all[0].fields.all.len(), 1);
    let both = some.wants(&[items(), number("items.price")], &[]).ok().unwrap().reads;
    assert_eq!(both, some.wants(&[number("items.price"), items()], &[]).ok().unwrap().reads);
    assert_eq!(
        some.told(&[number("items.number")], &[]),
        "it reads `items.number`: add it to `reads` if it may"
    );
    assert!(
        some.told(&[items()], &[])
            .starts_with("it reads `items` with all its fields, of which not all")
    );
    let told = all.told(&[spec("items.price", DataType::Decimal, false)], &[]);
    assert_eq!(told, "it reads `items.price` as Decimal, but the column is Int64");
    let told = all.told(&[spec("items", DataType::Record, false)], &[]);
    assert_eq!(told, "it reads `items` as Record, but the column is a list of Record");
    assert!(all.told(&[number("items.none")], &[]).ends_with("and there is no such column here"));
}

#[test]
fn a_record_is_written_whole_or_field_by_field() {
    let case = Case { reads: &["items"], writes: &["items", "order"], contract: Contract::V0_2 };
    let price = || number("items.price");
    let total = || number("items.total");
    let fields = |columns: &[Field]| match columns[1].data_type() {
        ArrowType::List(element) => match element.data_type() {
            ArrowType::Struct(fields) => fields.iter().map(|field| field.name().clone()).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let mut columns = there();
    set_fields(&mut columns, &case.wants(&[price()], &[total()]).ok().unwrap().writes);
    assert_eq!(fields(&columns), ["price", "number", "total"]);
    let mut columns = there();
    set_fields(&mut columns, &case.wants(&[], &[items(), total()]).ok().unwrap().writes);
    assert_eq!(fields(&columns), ["total"]);

    let order = || spec("order", DataType::Record, false);
    let within = || spec("order.user", DataType::Record, false);
    let id = || spec("order.user.id", DataType::Text, false);
    assert_eq!(case.told(&[], &[order(), within(), id()]), "");
    for (reads, writes, wanted) in [
        (
            vec![],
            vec![total()],
            "`items.total` is a field of `items`, and there is no such record here",
        ),
        (vec![], vec![order()], "it writes record `order` without fields"),
        (vec![], vec![number("page.x")], "it writes `page.x`: add it to `writes` if it may"),
        (vec![], vec![order(), id()], "and there is no such record here"),
        (vec![price()], vec![total(), items()], "it writes record `items` behind a field of it"),
        (vec![price()], vec![total(), total()], "it writes `items.total` twice"),
        (vec![], vec![number("order..x")], "which is not a path of a column"),
    ] {
        let told = case.told(&reads, &writes);
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

#[test]
fn a_plugin_of_contract_0_1_is_offered_flat_columns_and_granted_no_others() {
    let contract = Contract::V0_1;
    let flat = Case { reads: &["page"], writes: &["page"], contract };
    assert_eq!(flat.offered(), ["page"]);
    let text = || spec("page", DataType::Text, false);
    assert_eq!(flat.told(&[text()], &[text()]), "");
    for name in ["items", "items.price"] {
        let told = Case { reads: &["page", name], writes: &[], contract }.told(&[text()], &[]);
        let wanted =
            format!("`{name}` is granted, and `clickmill:plugin@0.1.0`, for which it was built,");
        assert!(told.starts_with(&wanted), "{told}");
    }
}

#[test]
fn a_misspelt_grant_is_told_with_what_may_be_meant() {
    let missing = |reads: &[&str]| {
        let grant = grant(reads);
        Offer::of(&there(), &grant, Contract::V0_2).missing(&grant)
    };
    let none: [&str; 0] = [];
    assert_eq!(missing(&["page", "items", "items.price", "items.number"]), none);
    assert_eq!(
        missing(&["pages", "itmes", "country", "items.prize", "page.title"]),
        [
            "`reads` names `pages`, and there is no such column here, but `page`",
            "`reads` names `itmes`, and there is no such column here, but `items`",
            "`reads` names `country`, and there is no such column here",
            "`reads` names `items.prize`, and there is no such column here",
            "`reads` names `page.title`, and there is no such column here",
        ]
    );
    let all = Offer::of(&there(), &Grant::All, Contract::V0_2);
    assert_eq!(all.missing(&Grant::All), none);
}
