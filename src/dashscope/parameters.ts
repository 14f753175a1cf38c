import { DashScopeUsageError, type UsageFault } from './errors.ts';
import { AUDIO_FORMATS, type AudioFormat, findModel, LANGUAGES, type RecognitionModel } from './models.ts';

/**
 * What `run-task` asks for. Names are the wire's in camelCase; what is undefined is left out, so that the service's
 * default holds.
 */
export interface RecognitionParameters {
  readonly format: AudioFormat;
  /** Hz. */
  readonly sampleRate: number;
  /** Hot words; made for the same model. v2 models only. */
  readonly vocabularyId?: string | undefined;
  /** Hot words of the v1 models. Not a parameter on the wire but an entry of `payload.resources`. */
  readonly phraseId?: string | undefined;
  /** True: filler words are left out. Default: false. */
  readonly disfluencyRemovalEnabled?: boolean | undefined;
  /** Codes of {@link LANGUAGES}; paraformer-realtime-v2 only. Default: the model finds out. */
  readonly languageHints?: readonly string[] | undefined;
  /** True: cut sentences by meaning; no emotion then. False (the service's default): by voice activity. v2 only. */
  readonly semanticPunctuationEnabled?: boolean | undefined;
  /**
   * Milliseconds, 200 to 6000, of silence that end a sentence cut by voice activity. v2 only. Always sent there, with
   * {@link MAX_SENTENCE_SILENCE_DEFAULT_MS} where it is undefined: the vendor's pages disagree on the default (800, 1300).
   */
  readonly maxSentenceSilence?: number | undefined;
  /** True: voice activity detection does not make over-long sentences. Default: false. v2 only. */
  readonly multiThresholdModeEnabled?: boolean | undefined;
  /** Default: true. v2 only; v1 always adds punctuation. */
  readonly punctuationPredictionEnabled?: boolean | undefined;
  /** True: a task of nothing but silence lives on; false (default): it ends after 60 s. v2 only. */
  readonly heartbeat?: boolean | undefined;
  /** Default: true. v2 only; v1 always writes numerals as digits. */
  readonly inverseTextNormalizationEnabled?: boolean | undefined;
  /** Parameters that this library does not know, by their names on the wire: for models of tomorrow. */
  readonly extraParameters?: Readonly<Record<string, unknown>> | undefined;
}

export const MAX_SENTENCE_SILENCE_DEFAULT_MS = 800;

type KnownName = Exclude<keyof RecognitionParameters, 'extraParameters'>;

/** One request parameter of the vendor's page. */
export interface ParameterRule {
  readonly name: KnownName;
  /** Undefined for `phraseId`, which stands in `payload.resources`. */
  readonly wireName: string | undefined;
  readonly type: 'boolean' | 'integer' | 'string' | 'string[]';
  readonly required: boolean;
  /** The service's, where the parameter is left out; `undefined`: none, or the pages disagree. */
  readonly default: boolean | number | undefined;
  readonly range?: { readonly min: number; readonly max: number; readonly unit: string };
  readonly oneOf?: readonly string[];
  /** Whether it takes effect; a parameter that does not is sent all the same, with a warning. */
  readonly takesEffect: (model: RecognitionModel, parameters: RecognitionParameters) => boolean;
  /** The condition in words, for the warning. */
  readonly condition: string;
}

const always = (): boolean => true;
const v2 = (model: RecognitionModel): boolean => model.generation === 2;
const v2Vad = (model: RecognitionModel, parameters: RecognitionParameters): boolean =>
  v2(model) && parameters.semanticPunctuationEnabled !== true;
const V2_TEXT = 'it takes effect on v2 models only';
const V2_VAD_TEXT = 'it takes effect on v2 models only, and only with semanticPunctuationEnabled false';
const everywhere = { takesEffect: always, condition: '' } as const;

/** Every request parameter, in the order of the page. Times and rates are whole numbers. */
export const PARAMETERS: readonly ParameterRule[] = [
  {
    name: 'sampleRate',
    wireName: 'sample_rate',
    type: 'integer',
    required: true,
    default: undefined,
    range: { min: 1, max: 192_000, unit: 'Hz' },
    ...everywhere,
  },
  {
    name: 'format',
    wireName: 'format',
    type: 'string',
    required: true,
    default: undefined,
    oneOf: AUDIO_FORMATS,
    ...everywhere,
  },
  {
    name: 'vocabularyId',
    wireName: 'vocabulary_id',
    type: 'string',
    required: false,
    default: undefined,
    ...everywhere,
  },
  {
    name: 'phraseId',
    wireName: undefined,
    type: 'string',
    required: false,
    default: undefined,
    ...everywhere,
  },
  {
    name: 'disfluencyRemovalEnabled',
    wireName: 'disfluency_removal_enabled',
    type: 'boolean',
    required: false,
    default: false,
    ...everywhere,
  },
  {
    name: 'languageHints',
    wireName: 'language_hints',
    type: 'string[]',
    required: false,
    default: undefined,
    oneOf: LANGUAGES,
    takesEffect: (model) => model.languageHints,
    condition: 'it takes effect on paraformer-realtime-v2 only',
  },
  {
    name: 'semanticPunctuationEnabled',
    wireName: 'semantic_punctuation_enabled',
    type: 'boolean',
    required: false,
    default: false,
    takesEffect: v2,
    condition: V2_TEXT,
  },
  {
    name: 'maxSentenceSilence',
    wireName: 'max_sentence_silence',
    type: 'integer',
    required: false,
    default: MAX_SENTENCE_SILENCE_DEFAULT_MS,
    range: { min: 200, max: 6_000, unit: 'ms' },
    takesEffect: v2Vad,
    condition: V2_VAD_TEXT,
  },
  {
    name: 'multiThresholdModeEnabled',
    wireName: 'multi_threshold_mode_enabled',
    type: 'boolean',
    required: false,
    default: false,
    takesEffect: v2Vad,
    condition: V2_VAD_TEXT,
  },
  {
    name: 'punctuationPredictionEnabled',
    wireName: 'punctuation_prediction_enabled',
    type: 'boolean',
    required: false,
    default: true,
    takesEffect: v2,
    condition: V2_TEXT,
  },
  {
    name: 'heartbeat',
    wireName: 'heartbeat',
    type: 'boolean',
    required: false,
    default: false,
    takesEffect: v2,
    condition: V2_TEXT,
  },
  {
    name: 'inverseTextNormalizationEnabled',
    wireName: 'inverse_text_normalization_enabled',
    type: 'boolean',
    required: false,
    default: true,
    takesEffect: v2,
    condition: V2_TEXT,
  },
];

/** A parameter, or model, that is sent but may not do what was meant. */
export interface ParameterWarning {
  readonly parameter: string;
  readonly message: string;
}

/**
 * Checks what the caller asked for, before anything is sent. Of an unknown model only names and types are checked.
 *
 * @returns what is sent but does not take effect
 * @throws {DashScopeUsageError} with all faults at once: a wrong type, out of range, or refused by the model
 */
export function checkParameters(model: string, parameters: RecognitionParameters): ParameterWarning[] {
  const known = typeof model === 'string' ? findModel(model) : undefined;
  const given: Readonly<Record<string, unknown>> = { ...parameters };
  const ruled = PARAMETERS.flatMap((rule) => ruleFaults(rule, given[rule.name], known));
  const fit = known === undefined ? [] : fitFaults(known, parameters);
  const faults = [
    ...modelFaults(model),
    ...ruled,
    ...nameFaults(given),
    // What is no rate at all need not be told that it is not the model's.
    ...fit.filter(({ parameter }) => !ruled.some((fault) => fault.parameter === parameter)),
  ];
  if (faults.length > 0) throw new DashScopeUsageError('the recognition cannot be asked for', faults);
  if (known === undefined) {
    const message = 'the model is not known to this library; its parameters are passed through unchecked';
    return [{ parameter: 'model', message }];
  }
  return PARAMETERS.filter(
    (rule) => parameters[rule.name] !== undefined && !rule.takesEffect(known, parameters),
  ).map(({ name, condition }) => ({
    parameter: name,
    message: `${name} is ignored by ${known.name}: ${condition}`,
  }));
}

function modelFaults(model: unknown): UsageFault[] {
  if (typeof model === 'string' && model !== '') return [];
  return [{ parameter: 'model', found: show(model), allowed: 'the name of a model' }];
}

function ruleFaults(rule: ParameterRule, value: unknown, model: RecognitionModel | undefined): UsageFault[] {
  const fault = (allowed: string): UsageFault[] => [{ parameter: rule.name, found: show(value), allowed }];
  if (value === undefined) return rule.required ? fault(allowedText(rule)) : [];
  if (!hasType(rule.type, value)) return fault(allowedText(rule));
  // A model of tomorrow may take more than those of today.
  if (model === undefined) return [];
  const { range, oneOf } = rule;
  if (range !== undefined && ((value as number) < range.min || (value as number) > range.max)) {
    return fault(allowedText(rule));
  }
  const texts = typeof value === 'string' ? [value] : Array.isArray(value) ? (value as string[]) : [];
  return oneOf !== undefined && texts.some((text) => !oneOf.includes(text)) ? fault(allowedText(rule)) : [];
}

function hasType(type: ParameterRule['type'], value: unknown): boolean {
  switch (type) {
    case 'boolean':
      return typeof value === 'boolean';
    case 'integer':
      return Number.isSafeInteger(value);
    case 'string':
      return typeof value === 'string' && value !== '';
    case 'string[]':
      return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
  }
}

function allowedText({ type, range, oneOf }: ParameterRule): string {
  if (oneOf !== undefined) return `${type === 'string[]' ? 'a list of ' : ''}${oneOf.join(', ')}`;
  if (range !== undefined) return `an integer from ${range.min} to ${range.max} ${range.unit}`;
  return type === 'string' ? 'a text that is not empty' : `a ${type}`;
}

/** Where the wire's name is given in place of ours, the value would be dropped without a word. */
function nameFaults(given: Readonly<Record<string, unknown>>): UsageFault[] {
  const extra: unknown = given['extraParameters'];
  const misnamed = PARAMETERS.flatMap(({ name }) => {
    const wireName = snakeCase(name);
    const found = wireName !== name && given[wireName] !== undefined;
    return found ? [{ parameter: wireName, found: show(given[wireName]), allowed: `the name ${name}` }] : [];
  });
  if (extra === undefined) return misnamed;
  if (typeof extra !== 'object' || extra === null || Array.isArray(extra)) {
    return [...misnamed, { parameter: 'extraParameters', found: show(extra), allowed: 'an object' }];
  }
  const known = PARAMETERS.filter(({ name }) => snakeCase(name) in extra);
  return [
    ...misnamed,
    ...known.map(({ name }) => ({
      parameter: `extraParameters.${snakeCase(name)}`,
      found: 'a known parameter',
      allowed: `the option ${name}`,
    })),
  ];
}

/** What the model is documented to refuse, or what could only silently fail. */
function fitFaults(model: RecognitionModel, parameters: RecognitionParameters): UsageFault[] {
  const faults: UsageFault[] = [];
  const { sampleRate, format } = parameters;
  if (model.sampleRate !== 'any' && sampleRate !== model.sampleRate) {
    const allowed = `${model.sampleRate} Hz for ${model.name}`;
    faults.push({ parameter: 'sampleRate', found: show(sampleRate), allowed });
  }
  if (format === 'amr' && sampleRate !== AMR_NB_RATE_HZ && model.sampleRate === 'any') {
    const allowed = `${AMR_NB_RATE_HZ} Hz for amr, since only AMR-NB is taken`;
    faults.push({ parameter: 'sampleRate', found: show(sampleRate), allowed });
  }
  const other = model.hotWords === 'vocabularyId' ? 'phraseId' : 'vocabularyId';
  if (parameters[other] !== undefined) {
    const allowed = `${model.hotWords} for the hot words of ${model.name}`;
    faults.push({ parameter: other, found: show(parameters[other]), allowed });
  }
  return faults;
}

const AMR_NB_RATE_HZ = 8_000;
const SHOWN_MAX = 80;

/** Short enough for a message; a parameter is no secret. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  try {
    return JSON.stringify(value).slice(0, SHOWN_MAX);
  } catch {
    return `a ${typeof value}`;
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * Parameters by their names on the wire as this library names them; those that it does not know are handed through.
 *
 * @throws never; `checkParameters` looks at the values
 */
export function parametersOfWire(wire: Readonly<Record<string, unknown>>): Partial<RecognitionParameters> {
  const named: Record<string, unknown> = {};
  const extra: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(wire)) {
    const rule = PARAMETERS.find(({ wireName }) => wireName === name);
    if (rule === undefined) extra[name] = value;
    else named[rule.name] = value;
  }
  return Object.keys(extra).length === 0 ? named : { ...named, extraParameters: extra };
}

/** `payload.parameters` of a run-task, and `payload.resources` where there are v1 hot words. */
export function encodeParameters(
  model: string,
  parameters: RecognitionParameters,
): { parameters: Record<string, unknown>; resources: object[] | undefined } {
  const known = findModel(model);
  const wire: Record<string, unknown> = { ...parameters.extraParameters };
  for (const rule of PARAMETERS) {
    if (rule.wireName === undefined) continue;
    wire[rule.wireName] = parameters[rule.name] ?? silenceDefault(rule, parameters, known);
  }
  const { phraseId } = parameters;
  return {
    parameters: wire,
    resources: phraseId === undefined ? undefined : [{ resource_id: phraseId, resource_type: 'asr_phrase' }],
  };
}

function silenceDefault(
  rule: ParameterRule,
  parameters: RecognitionParameters,
  model: RecognitionModel | undefined,
): number | undefined {
  if (rule.name !== 'maxSentenceSilence') return undefined;
  if (model !== undefined && !rule.takesEffect(model, parameters)) return undefined;
  return MAX_SENTENCE_SILENCE_DEFAULT_MS;
}
