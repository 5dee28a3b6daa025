"""The words of the page where an account objects, in both languages.  STANDING 5.6, 5.10.

Nothing here says a rule, a score or a term; what the case is about was said in the notice.
"""

from __future__ import annotations

from collections.abc import Mapping

from filterd.pipeline.texts import Text

TITLE = Text(en="Your case {case}", zh="您的个案 {case}")
STANDING = Text(en="Standing", zh="账号状态")
POINTS = Text(en="Points", zh="积分")
FADES = Text(en="{points} until {at}", zh="{points} 分，至 {at} 失效")
NEXT = Text(en="With {points} points: {rung}.", zh="达到 {points} 分时：{rung}。")
IN_FORCE = Text(en="In force now", zh="当前生效的措施")
NOTHING = Text(en="Nothing is in force.", zh="当前没有生效的措施。")
UNTIL = Text(en="until {at}", zh="至 {at}")
OPEN_ENDED = Text(en="without an end date", zh="未设结束时间")
CLAUSES = Text(en="Under {clauses} of: {title}", zh="依据：{title} {clauses}")
REFUSED = Text(en="Mail refused since then", zh="此后被拒绝的邮件")
REFUSED_ROW = Text(en="{at}: recipients {count}", zh="{at}：收件人 {count} 个")
REFUSED_NONE = Text(en="None that we know of.", zh="无记录。")
APPEALS = Text(en="Your objection", zh="您的申诉")
FILED = Text(
    en="Received {at}. Decided by {due} at the latest, by a person who did not take the decision.",
    zh="已于 {at} 收到，最迟于 {due} 由未参与原决定的人员处理完毕。",
)
DECIDED = Text(en="Received {at}. Outcome: {outcome}.", zh="已于 {at} 收到。处理结果：{outcome}。")
ASKED = Text(
    en="The person who looks at your objection has asked you something; see the notice. You can answer here.",
    zh="处理人员向您提出了问题，详见通知。您可以在此答复。",
)
FORM = Text(
    en="Objecting is free of charge and never adds points. You need not say anything; if you do, only those who decide"
    " can read it.",
    zh="申诉免费，且绝不会增加积分。可以不填写说明；填写的内容仅处理人员可见。",
)
LABEL = Text(en="What you want to say (at most 2000 characters)", zh="说明（最多 2000 字）")
SEND = Text(en="Object", zh="提交申诉")
ANSWER = Text(en="Answer", zh="提交答复")
CLOSES = Text(en="You can object until {at}.", zh="申诉截止时间：{at}。")
CLOSED = Text(en="Nothing is left to object to here.", zh="此个案已无可申诉的内容。")
ANNULLED = Text(en="This decision was annulled: it was our error.", zh="该决定已撤销：系我方错误。")
BAD_LINK = Text(
    en="This link does not open a case, or its time is over. The link in the notice does; or write to {address}.",
    zh="该链接无效或已过期。请使用通知中的链接，或写信至 {address}。",
)
NO_ADDRESS = Text(en="the appeals address named in the notice", zh="通知中列明的申诉地址")
TOO_OFTEN = Text(en="Too many requests. Please wait a few minutes.", zh="请求过于频繁，请稍后再试。")
TOO_LONG = Text(en="Please use at most 2000 characters.", zh="请不要超过 2000 字。")
LATER = Text(en="This cannot be shown just now. Please try again in a few minutes.", zh="暂时无法显示，请稍后再试。")

RUNGS: Mapping[str, Text] = {
    "good": Text(en="good standing", zh="正常"),
    "warned": Text(en="warned", zh="已警告"),
    "restricted": Text(en="restricted", zh="部分功能受限"),
    "suspended": Text(en="sending suspended", zh="发信已暂停"),
    "terminated": Text(en="service ended", zh="服务已终止"),
    "none": Text(en="nothing", zh="无"),
    "warn": Text(en="warning", zh="警告"),
    "restrict": Text(en="restriction", zh="功能限制"),
    "suspend": Text(en="suspension of sending", zh="暂停发信"),
    "terminate": Text(en="end of service", zh="终止服务"),
}
HELD = Text(en="locked for protection, which is no reproach", zh="为保护账号而锁定（不代表违规）")

OUTCOMES: Mapping[str, Text] = {
    "granted": Text(en="granted", zh="成立"),
    "partially_granted": Text(en="partially granted", zh="部分成立"),
    "denied": Text(en="denied", zh="不成立"),
    "inadmissible": Text(en="not admissible", zh="不予受理"),
    "withdrawn": Text(en="withdrawn", zh="已撤回"),
}
