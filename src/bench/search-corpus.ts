import { type SeededRandom, seededRandom } from '../seeded-random.ts';

/** A sentence of the bench's table. */
export interface CorpusSentence {
  readonly text: string;
  readonly emotion: 'positive' | 'negative' | 'neutral' | undefined;
}

/**
 * Telephone Mandarin that nobody said: openings that every call has, phrases of many, words by Zipf's law, numbers said and
 * in digits, names and places that few calls share. 4 to 60 characters, 16 on average, as recognition cuts them.
 */
export function* corpus(sentences: number, seed: number): Generator<CorpusSentence> {
  const random = seededRandom(seed);
  for (let no = 0; no < sentences; no += 1) {
    const mood = random();
    const emotion = mood < 0.4 ? undefined : mood < 0.9 ? 'neutral' : mood < 0.96 ? 'positive' : 'negative';
    yield { text: sentence(random), emotion };
  }
}

function sentence(random: SeededRandom): string {
  const kind = random();
  if (kind < 0.05) return zipf(random, OPENINGS);
  if (kind < 0.1) return `${zipf(random, ANSWERS)}。`;
  const parts = 1 + Math.floor(random() * random() * 5);
  const said = Array.from({ length: parts }, () => clause(random));
  return `${said.join('，')}${random() < 0.25 ? '？' : '。'}`;
}

function clause(random: SeededRandom): string {
  const pieces: string[] = [];
  if (random() < 0.5) pieces.push(zipf(random, SUBJECTS));
  if (random() < 0.6) pieces.push(zipf(random, VERBS));
  pieces.push(noun(random));
  if (random() < 0.3) pieces.push(zipf(random, VERBS), noun(random));
  if (random() < 0.4) pieces.push(zipf(random, ENDINGS));
  return pieces.join('');
}

function noun(random: SeededRandom): string {
  const kind = random();
  if (kind < 0.62) return zipf(random, NOUNS);
  if (kind < 0.72) return amount(random);
  if (kind < 0.76) return zipf(random, PRODUCTS);
  // Names of people, streets, companies: characters by their frequency, so that few are twice.
  const length = 2 + Math.floor(random() * 3);
  return Array.from({ length }, () => zipf(random, CHARACTERS)).join('');
}

function amount(random: SeededRandom): string {
  const number = Math.floor(10 ** (1 + random() * 3));
  if (random() < 0.6) return `${number}${zipf(random, UNITS)}`;
  const digits = Array.from(String(number), (digit) => '零一二三四五六七八九'.charAt(Number(digit)));
  return `${digits.join('')}${zipf(random, UNITS)}`;
}

/** The first is as likely as the second and third together. */
function zipf(random: SeededRandom, words: readonly string[]): string {
  const rank = Math.floor(words.length ** random()) - 1;
  return words[Math.min(Math.max(rank, 0), words.length - 1)] ?? '';
}

const split = (words: string): readonly string[] => words.split(/\s+/).filter((word) => word !== '');

const OPENINGS = split(
  '您好，这里是客户服务中心，请问有什么可以帮您？ 喂，您好。 您好，我想咨询一下。 请问您还有其他问题吗？ 感谢您的来电，再见。 请稍等，我帮您查询一下。 好的，请您提供一下身份证号码。 非常抱歉给您带来不便。 请对我的服务进行评价。 为了保证服务质量，本次通话将会被录音。',
);
const ANSWERS = split(
  '好的 嗯 是的 对 不是 可以 谢谢 没有了 明白了 知道了 行 没问题 不用了 再见 稍等一下 对不起 你说 什么 为什么 没听清 那好吧 当然可以 我想一下 麻烦您了 不客气',
);
const SUBJECTS = split(
  '我 您 我们 你们 他 这个 那个 我这边 您这边 系统 公司 客户 我先生 我太太 我妈妈 技术人员 工作人员 客服 师傅 快递员 银行 物业 学校 医生 经理 主管 同事 朋友 邻居 老板',
);
const VERBS = split(
  '想查 要办理 需要 看一下 查询一下 取消 更改 退 申请 确认 没有收到 收到 交 开通 关闭 投诉 反映 联系 登记 处理 安排 维修 安装 换 预约 打不通 不知道 觉得 希望 帮我查 发 寄 打开 登录 重置 修改 绑定 解除 续费 充值 提现 转账 冻结 挂失 补办 激活 下载 更新 重启 检测 上门 回访 升级 降级 合并 拆分 授权 公证 理赔 报案 定损 赔付 承保 核保',
);
const NOUNS = split(
  '话费 套餐 流量 账单 订单 手机 号码 密码 宽带 网络 信号 退款 发票 地址 快递 身份证 银行卡 会员 积分 优惠 活动 合同 服务 费用 短信 验证码 账号 时间 问题 电话 余额 押金 利息 贷款 信用卡 保险 理赔 车险 机票 酒店 门票 行李 座位 改签 空调 冰箱 洗衣机 电视 热水器 燃气 水费 电费 物业费 停车位 学费 课程 老师 考试 成绩 医院 挂号 医保 药品 体检 疫苗 社保 公积金 税务 个税 工资 简历 面试 合约 违约金 滞纳金 手续费 年费 利率 额度 分期 首付 尾款 定金 样品 库存 物流 仓库 包装 尺寸 颜色 型号 配件 保修 说明书 遥控器 路由器 光猫 机顶盒 充电器 电池 屏幕 主板 摄像头 耳机 键盘 打印机 墨盒 软件 版本 系统 数据 备份 病毒 防火墙 域名 服务器 带宽 接口 证书 签名 盖章 公章 营业执照 法人 股东 董事会 审计 报表 预算 采购 招标 投标 供应商 经销商 代理商 门店 加盟 装修 设计 施工 验收 监理 材料 地板 瓷砖 油漆 橱柜 窗帘 家具 沙发 床垫 衣柜 灯具 开关 插座 水管 马桶 花洒 浴缸 阳台 电梯 楼道 门禁 监控 保安 保洁 绿化 垃圾 噪音 漏水 停电 断网 故障 报修 工单 编号 进度 结果 原因 方案 赔偿 补偿 道歉 态度 效率 质量 安全 隐私 泄露 诈骗 骚扰 黑名单 拦截 举报 仲裁 起诉 律师 法院 判决 执行 调解 证据 录音 截图 聊天记录 转账凭证 收据',
);
const PRODUCTS = split(
  'iPhone 5G WiFi APP VIP ETC POS VPN CRM iPad Windows Office Excel PDF GPS SUV LED USB SIM eSIM KPI HR IT QQ OK Email Android Face-ID Type-C Pro Max Plus Mini Air',
);
const UNITS = split('元 块 块钱 月 号 天 年 个 分钟 小时 次 件 兆 G 岁 楼 室 度 万 米 公斤 台 张 份');
const ENDINGS = split(
  '吗 了 的 呢 吧 啊 怎么办 可以吗 对吧 是多少 什么时候 在哪里 怎么弄 好不好 行不行 有没有 来着 了没有 就行 为什么呢 到底 才对 才行 算了 而已 的话 之前 之后 左右 以内 以上 以下',
);
const CHARACTERS = Array.from(
  '大小中国人民东南西北山水明华建文德志林海春秋金玉龙凤天地平安永康福寿光辉新成立正方圆红绿青白黄蓝江河湖城市县乡镇村路街巷里园楼苑庭府台阁轩堂院馆店厂站场桥门口王李张刘陈杨赵黄周吴徐孙胡朱高何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范石姚谭廖邹熊陆郝孔白崔康毛邱秦史顾侯邵孟万段雷钱汤尹黎易常武乔贺赖龚伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛超霞刚玲桂香雪梅兰竹菊松柏梧桐杉柳樱桃杏梨枫荷莲薇蓉萍蕾茜颖倩婷瑶琳琪瑜璐晨曦旭阳昊宇轩泽浩然子涵梓萱一诺欣怡佳慧思远博学睿智俊杰豪翔飞鹏程万里锦绣前程似海深蓝天白云清风明月',
);
