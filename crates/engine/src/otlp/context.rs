//! What a data point's series is called: labels from its attributes, its resource, its scope and its metric.
//!
//! Reference: Prometheus `storage/remote/otlptranslator/prometheusremotewrite/helper.go`.

use model::{Labels, LabelsBuilder, METRIC_NAME, Metadata, MetricType};
use wire::WireError;
use wire::otlp::{Attributes, ResourceMetrics, ScopeMetrics, Value};

use super::fault::Fault;
use super::settings::Translation;
use super::unit;
use super::warnings::{Category, Warnings};

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE: &str = "service.instance.id";
/// Attributes that name the service, and so become `job` and `instance`.
pub(super) const IDENTIFYING: [&str; 3] = [SERVICE_NAMESPACE, SERVICE_NAME, SERVICE_INSTANCE];

const TYPE_LABEL: &str = "__type__";
const UNIT_LABEL: &str = "__unit__";

/// Bytes of all label sets that one request may have made anew.
const LABEL_BYTES_MAX: usize = 256 << 20;

/// Key and value as text.
pub(super) type Pair = (String, String);

/// What all series of a resource share.
#[derive(Debug, Default)]
pub(super) struct Resource {
    pub attributes: Vec<Pair>,
    job: String,
    instance: String,
    promoted: Vec<Pair>,
}

/// Whose attributes are translated, for remarks on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    DataPoint,
    Resource,
}

/// Where the walk through a request is.
pub(super) struct Context<'t> {
    pub translation: &'t Translation,
    /// Whether series get `__type__` and `__unit__`.
    pub with_type_and_unit: bool,
    pub resource: Resource,
    /// The labels of the scope, where they are promoted; an empty value takes a label away.
    scope: Vec<Pair>,
    /// Final names of labels whose collision has been told of.
    collisions: Vec<String>,
    label_bytes: usize,
}

/// Text of bytes, what is no UTF-8 replaced.
pub(super) fn lossy(bytes: &[u8]) -> String {
    let mut out = String::new();
    // Of text nothing can be wrong.
    let _ = Value::Text(bytes).write_text(&mut out);
    out
}

/// Attributes as text, in their order.
pub(super) fn pairs(attributes: &Attributes<'_>) -> Result<Vec<Pair>, WireError> {
    let mut out = Vec::new();
    let mut fault = None;
    attributes.for_each(|key, value| {
        let mut text = String::new();
        if let Err(e) = value.write_text(&mut text) {
            fault.get_or_insert(e);
        }
        out.push((lossy(key), text));
    })?;
    fault.map_or(Ok(out), Err)
}

impl<'t> Context<'t> {
    pub(super) fn new(translation: &'t Translation, with_type_and_unit: bool) -> Self {
        Self {
            translation,
            with_type_and_unit,
            resource: Resource::default(),
            scope: Vec::new(),
            collisions: Vec::new(),
            label_bytes: 0,
        }
    }

    fn label_name(&self, key: &str) -> Result<String, Fault> {
        self.translation.labels.build(key).map(|n| n.into_owned()).map_err(Fault::Other)
    }

    /// Goes to the next resource.
    pub(super) fn enter_resource(&mut self, metrics: &ResourceMetrics<'_>) -> Result<(), Fault> {
        self.scope.clear();
        let attributes = pairs(&metrics.attributes)?;
        let get = |name| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let job = match (get(SERVICE_NAME), get(SERVICE_NAMESPACE)) {
            (Some(name), Some(namespace)) => format!("{namespace}/{name}"),
            (name, _) => name.unwrap_or_default().to_owned(),
        };
        let instance = get(SERVICE_INSTANCE).unwrap_or_default().to_owned();
        let mut promoted = LabelsBuilder::new();
        for (key, value) in
            attributes.iter().filter(|(key, _)| self.translation.settings.promotion.takes(key))
        {
            promoted.set(&self.label_name(key)?, value);
        }
        let promoted = promoted.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        self.resource = Resource { attributes, job, instance, promoted };
        Ok(())
    }

    /// Goes to the next scope of the resource.
    pub(super) fn enter_scope(&mut self, metrics: &ScopeMetrics<'_>) -> Result<(), Fault> {
        self.scope.clear();
        if !self.translation.settings.promote_scope_metadata || metrics.name.is_empty() {
            return Ok(());
        }
        let mut labels = LabelsBuilder::new();
        for (key, value) in pairs(&metrics.attributes)? {
            labels.set(&self.label_name(&format!("otel_scope_{key}"))?, &value);
        }
        self.scope = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        for (name, value) in [
            ("otel_scope_name", metrics.name),
            ("otel_scope_version", metrics.version),
            ("otel_scope_schema_url", metrics.schema_url),
        ] {
            self.scope.push((name.to_owned(), lossy(value)));
        }
        Ok(())
    }

    /// The labels of a data point without the metric's name, into `out`. Whether values of attributes had to be put
    /// together, which is told of each time: such a series is not to be cached.
    pub(super) fn point_labels(
        &mut self,
        attributes: &Attributes<'_>,
        metadata: &Metadata,
        warnings: &mut Warnings,
        out: &mut LabelsBuilder,
    ) -> Result<bool, Fault> {
        let mut own = pairs(attributes)?;
        own.retain(|(key, _)| key != METRIC_NAME);
        let collided = self.attribute_labels(own, Source::DataPoint, warnings, out)?;
        for (name, value) in &self.resource.promoted {
            if out.get(name).is_none() {
                out.set(name, value);
            }
        }
        self.identity(out);
        for (name, value) in &self.scope {
            out.set(name, value);
        }
        if self.with_type_and_unit {
            if metadata.kind != MetricType::Unknown {
                out.set(TYPE_LABEL, metadata.kind.as_str());
            }
            if !metadata.unit.is_empty() {
                out.set(UNIT_LABEL, &unit::build(&metadata.unit, self.translation.labels.utf8));
            }
        }
        Ok(collided)
    }

    /// The labels of the resource itself, without a metric's name.
    pub(super) fn resource_labels(
        &mut self,
        attributes: Vec<Pair>,
        warnings: &mut Warnings,
        out: &mut LabelsBuilder,
    ) -> Result<(), Fault> {
        self.attribute_labels(attributes, Source::Resource, warnings, out)?;
        self.identity(out);
        Ok(())
    }

    /// A label set; counts its bytes against the request's limit.
    pub(super) fn build(&mut self, labels: &LabelsBuilder) -> Result<Labels, Fault> {
        let labels = labels.build();
        self.label_bytes += labels.as_bytes().len();
        if self.label_bytes > LABEL_BYTES_MAX {
            return Err(Fault::TooMuch(format!(
                "new series of the request have more than {LABEL_BYTES_MAX} bytes of labels"
            )));
        }
        Ok(labels)
    }

    fn identity(&self, out: &mut LabelsBuilder) {
        for (name, value) in [("job", &self.resource.job), ("instance", &self.resource.instance)] {
            if !value.is_empty() {
                out.set(name, value);
            }
        }
    }

    /// Attributes under their final names; whether some met under one name.
    fn attribute_labels(
        &mut self,
        mut attributes: Vec<Pair>,
        source: Source,
        warnings: &mut Warnings,
        out: &mut LabelsBuilder,
    ) -> Result<bool, Fault> {
        out.clear();
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        let mut collided = false;
        if self.translation.labels.utf8 {
            for (i, (name, value)) in attributes.iter().enumerate() {
                if i > 0 && attributes[i - 1].0 == *name {
                    return Err(Fault::Other(format!("label name \"{name}\" is not unique: invalid sample")));
                }
                out.set(name, value);
            }
            return Ok(false);
        }
        for (key, value) in &attributes {
            let name = self.label_name(key)?;
            match out.get(&name) {
                Some(before) => {
                    collided = true;
                    let joined = format!("{before};{value}");
                    self.tell_collision(&attributes, &name, source, warnings);
                    out.set(&name, &joined);
                }
                None => drop(out.set(&name, value)),
            }
        }
        Ok(collided)
    }

    fn tell_collision(&mut self, attributes: &[Pair], name: &str, source: Source, warnings: &mut Warnings) {
        if self.collisions.iter().any(|told| told == name) || self.collisions.len() > 1000 {
            return;
        }
        self.collisions.push(name.to_owned());
        let is_same = |key: &str| self.translation.labels.build(key).is_ok_and(|n| n == name);
        let quoted = |(key, _): &Pair| model::float::go_quoted(key.as_bytes());
        let keys: Vec<String> = attributes.iter().filter(|(key, _)| is_same(key)).map(quoted).collect();
        let source = if source == Source::Resource { "resource" } else { "data point" };
        warnings.push(Category::LabelNameCollision, || {
            format!(
                "OTLP {source} attributes {} collide as label {} after name sanitization, values are concatenated with ';'",
                keys.join(", "),
                model::float::go_quoted(name.as_bytes())
            )
        });
    }
}
