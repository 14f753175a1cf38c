import { newCallId, newLegId } from '../ids.ts';
import type { Percentiles } from './percentiles.ts';

export interface PipelineBenchOptions {
  /** Sentences a second while delays are measured. */
  readonly rate: number;
  /** How long that is. */
  readonly seconds: number;
  /** Sentences that wait when the outage ends. */
  readonly sentences: number;
}

export const PIPELINE_BENCH_DEFAULTS: PipelineBenchOptions = { rate: 200, seconds: 10, sentences: 30_000 };

/** Busy legs among which sentences go round: as many as 200 sentences a second come from. */
export const PIPELINE_LEGS = 1_500;

export interface PipelineReport {
  readonly backend: 'redis' | 'postgres';
  /** From the final sentence to its committed row, at the given rate. */
  readonly delay: Percentiles;
  /** Rows a second from the end of an outage until everything is stored. */
  readonly catchUpPerSecond: number;
  /** Against bare batched INSERTs. */
  readonly shareOfBare: number;
  /** Into the outbox on disk, while the queue's reader is away. */
  readonly acceptedPerSecond: number;
}

export interface PipelineBenchResult {
  readonly bench: 'pipeline';
  readonly options: PipelineBenchOptions;
  readonly legs: number;
  readonly barePerSecond: number;
  readonly reports: readonly PipelineReport[];
}

/** What a recogniser gave, without the call around it: some forty characters in a dozen words. */
export interface BenchSentence {
  readonly callId: ReturnType<typeof newCallId>;
  readonly legId: ReturnType<typeof newLegId>;
  readonly legNo: number;
  readonly sentenceNo: number;
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
  readonly words: readonly {
    readonly text: string;
    readonly begin_ms: number;
    readonly end_ms: number;
    readonly punctuation: string;
  }[];
}

const WORDS = [
  '您好',
  '请问',
  '有什么',
  '可以',
  '帮您',
  '的吗',
  '我想',
  '查询',
  '一下',
  '上个月',
  '的',
  '账单',
];

/** The sentences of many legs, one after the other through all legs, again and again. */
export function* sentencesOfLegs(legs: number): Generator<BenchSentence, never> {
  const all = Array.from({ length: legs }, () => {
    const callId = newCallId();
    return { callId, legId: newLegId(callId), legNo: 0 };
  });
  for (let sentenceNo = 1; ; sentenceNo += 1) {
    const beginMs = (sentenceNo - 1) * 7_500;
    const words = WORDS.map((text, index) => ({
      text,
      begin_ms: beginMs + index * 300,
      end_ms: beginMs + index * 300 + 280,
      punctuation: index === WORDS.length - 1 ? '。' : '',
    }));
    const text = `${WORDS.join('')}。`;
    for (const leg of all) yield { ...leg, sentenceNo, beginMs, endMs: beginMs + 3_600, text, words };
  }
}

/** One backend's figures as a line. */
export function pipelineLine({ backend, delay, ...report }: PipelineReport): string {
  return (
    `${backend.padEnd(9)} final → committed row p50 ${delay.p50Ms.toFixed(1)} ms, p99 ${delay.p99Ms.toFixed(1)} ms; ` +
    `catch-up ${report.catchUpPerSecond}/s (${Math.round(report.shareOfBare * 100)} % of bare); ` +
    `into the outbox ${report.acceptedPerSecond}/s`
  );
}
