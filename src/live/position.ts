/**
 * How far a subscriber is in one call: the last event, and of each leg the last final sentence. As text it is the event
 * id of a call's stream, `3;0:17;1:9`: event 3, sentence 17 of leg 0, sentence 9 of leg 1.
 */
export interface CallPosition {
  readonly eventNo: number;
  /** By leg number. */
  readonly sentenceNos: ReadonlyMap<number, number>;
}

export const START: CallPosition = { eventNo: 0, sentenceNos: new Map() };

const NUMBER = '(?:0|[1-9]\\d{0,8})';
const POSITION = new RegExp(`^${NUMBER}(?:;${NUMBER}:${NUMBER})*$`);
export const POSITION_MAX_CHARACTERS = 2_000;

export function writePosition({ eventNo, sentenceNos }: CallPosition): string {
  const legs = [...sentenceNos].map(([legNo, sentenceNo]) => `;${legNo}:${sentenceNo}`);
  return `${eventNo}${legs.join('')}`;
}

/** @returns undefined where the text is no position */
export function readPosition(text: string): CallPosition | undefined {
  if (text.length > POSITION_MAX_CHARACTERS || !POSITION.test(text)) return undefined;
  const [eventNo = '', ...legs] = text.split(';');
  const sentenceNos = new Map(
    legs.map((leg) => {
      const [legNo = '', sentenceNo = ''] = leg.split(':');
      return [Number(legNo), Number(sentenceNo)] as const;
    }),
  );
  return { eventNo: Number(eventNo), sentenceNos };
}
