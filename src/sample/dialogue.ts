/** Who speaks in the sample call. */
export type SampleParty = 'agent' | 'customer';

/** One sentence of the dialogue as its author wrote it. */
export interface DialogueLine {
  readonly party: SampleParty;
  /** Words separated by spaces, each with the punctuation that follows it. The spoken text has no spaces. */
  readonly words: string;
  /** From the end of the sentence before, whoever spoke it; negative where the parties overlap. */
  readonly gapMs: number;
}

/**
 * A customer asks for the month's bill and changes the tariff. Where one party says two sentences in a row the
 * gap is at least 1,100 ms: recognisers end a sentence after 800 ms of silence (`max_sentence_silence`).
 */
export const DIALOGUE: readonly DialogueLine[] = [
  { party: 'agent', gapMs: 600, words: '您好， 这里 是 客户 服务 中心， 请问 有 什么 可以 帮 您？' },
  { party: 'customer', gapMs: 250, words: '你好， 我 想 查 一下 这个 月 的 话费。' },
  { party: 'agent', gapMs: 200, words: '好的， 请 稍等， 我 帮 您 查询。' },
  { party: 'agent', gapMs: 1_400, words: '您 本月 的 话费 是 128 元。' },
  { party: 'customer', gapMs: -200, words: '怎么 比 上个月 多 了 这么 多？' },
  { party: 'agent', gapMs: 250, words: '因为 您 本月 的 流量 超出 了 套餐。' },
  { party: 'customer', gapMs: 200, words: '哦， 那 有没有 更 合适 的 套餐？' },
  { party: 'agent', gapMs: 250, words: '有 的， 新 套餐 每月 99 元， 包含 30GB 流量。' },
  { party: 'customer', gapMs: 150, words: '那 帮 我 换成 这个 吧， 什么 时候 生效？' },
  { party: 'agent', gapMs: 250, words: '下个月 一号 自动 生效。' },
  { party: 'agent', gapMs: 1_300, words: '稍后 会 有 短信 通知 您。' },
  { party: 'customer', gapMs: -150, words: '好的， 没有 别的 问题 了。' },
  { party: 'customer', gapMs: 1_200, words: '谢谢 你。' },
  { party: 'agent', gapMs: 250, words: '不客气， 祝 您 生活 愉快， 再见！' },
];

/** Silence after the last word; shorter than `max_sentence_silence`, so that hanging up ends the sentence. */
export const TAIL_MS = 600;
