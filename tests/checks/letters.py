"""Letters written for the tests: what the shipped model must tell apart."""

from __future__ import annotations

SPAM = {
    "en meds": ("Buy cheap viagra and cialis online, no prescription. Lowest prices, overnight shipping, guaranteed."),
    "en fortune": (
        "Dear friend, I am the son of a late minister and need your assistance to transfer the sum of 18 "
        "million dollars out of my country. You will get 30 percent. Reply in confidence with your bank "
        "details."
    ),
    "en mailbox": (
        "Your mailbox has exceeded its storage limit. Click here to verify your account within 24 hours or "
        "your account will be suspended."
    ),
    "zh invoices": "本公司可代开各类发票，点数优惠，验证后付款，欢迎来电咨询，电话13800000000，联系人李先生。",
    "zh casino": "注册即送88元，真人视频百家乐，提款秒到账，信誉第一，点击链接马上开户。",
    "zh-Hant invoices": "本公司代開各類發票，點數優惠，驗證後付款，歡迎來電洽談，聯絡人陳先生。",
    "zh training": (
        "尊敬的企业负责人：本公司将于下月举办企业税务筹划高级研修班，费用2800元每人，欢迎报名，报名电话02000000000。"
    ),
}

HAM = {
    "en meeting": (
        "Hi all, can we move the project meeting to Tuesday at 14:00? I would like to go through the budget "
        "and the schedule for the next quarter. Please send me your slides by Monday noon. Thanks, Peter"
    ),
    "en birthday": (
        "Happy birthday dear Tom! I hope you have a lovely day with the kids. See you at the weekend. Love, Mum"
    ),
    "en invoice": (
        "Please find attached the invoice for October. The amount due is EUR 240.00, payable within 30 days "
        "to the bank account on the invoice. Kind regards, Accounts department"
    ),
    "en doctor": "This is a reminder of your appointment with Dr Wilson on Friday 12 May at 9:30.",
    "zh meeting": (
        "各位同事：本周三下午两点在三楼会议室召开项目进度会议，请各部门负责人准时参加，并提前准备好本周工作总结。谢谢。"
    ),
    "zh invoice": ("您好！您十月份的服务费发票已经开具，金额240元，请在附件中查收电子发票。如有疑问请与财务部联系。"),
    "zh-Hant minutes": "各位同仁：附上昨天的會議記錄，請確認內容，如有需要修改的地方請於週五前回覆。謝謝。",
    "zh thesis": "老师您好，论文第三章已经按照您的意见修改完毕，请您再看一下，谢谢！学生小陈",
}
