/** The `otlp` section as the engine takes it. */

import type { Config } from '../config/index.ts';
import type { OtlpSettings } from '../core/engine.ts';

export function otlpSettings({ otlp }: Config): OtlpSettings {
  return {
    translationStrategy: otlp.translation_strategy,
    promoteAllResourceAttributes: otlp.promote_all_resource_attributes,
    promoteResourceAttributes: otlp.promote_resource_attributes,
    ignoreResourceAttributes: otlp.ignore_resource_attributes,
    keepIdentifyingResourceAttributes: otlp.keep_identifying_resource_attributes,
    convertHistogramsToNhcb: otlp.convert_histograms_to_nhcb,
    promoteScopeMetadata: otlp.promote_scope_metadata,
    labelNameUnderscoreSanitization: otlp.label_name_underscore_sanitization,
    labelNamePreserveMultipleUnderscores: otlp.label_name_preserve_multiple_underscores,
  };
}
