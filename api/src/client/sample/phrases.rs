//! What people read about it, in the actor's language.

use domain::Severity;

use super::dice::Dice;

/// The languages of the crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
    French,
    Spanish,
    Japanese,
    Arabic,
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phrase {
    Viewed,
    Created,
    Changed,
    Deleted,
    Approved,
    Exported,
    SignedIn,
    SignInFailed,
    Locked,
    RightsGranted,
}

type Names = (&'static [&'static str], &'static [&'static str]);

impl Language {
    pub(super) const ALL: [Self; 6] =
        [Self::English, Self::German, Self::French, Self::Spanish, Self::Japanese, Self::Arabic];

    /// Given names and family names.
    pub(super) const fn names(self) -> Names {
        match self {
            Self::English => (
                &["Grace", "Oliver", "Amara", "Liam", "Priya", "Noah"],
                &["Walker", "O'Brien", "Okafor", "Bennett", "Singh", "Clarke"],
            ),
            Self::German => (
                &["Jürgen", "Anna", "Søren", "Käthe", "Mehmet", "Lena"],
                &["Müller", "Groß", "Schäfer", "Yılmaz", "Köhler", "Weiß"],
            ),
            Self::French => (
                &["Chloé", "Étienne", "Zoé", "François", "Aïcha", "Léa"],
                &["Lefèvre", "Dubois", "Garçon", "Moreau", "Benoît", "Noël"],
            ),
            Self::Spanish => (
                &["María", "José", "Lucía", "Íñigo", "Begoña", "Andrés"],
                &["Muñoz", "García", "Peña", "Núñez", "Ibáñez", "Rodríguez"],
            ),
            Self::Japanese => (
                &["花子", "健太", "美咲", "翔", "さくら", "大輔"],
                &["山田", "佐藤", "鈴木", "高橋", "渡辺", "小林"],
            ),
            Self::Arabic => (
                &["فاطمة", "أحمد", "ليلى", "يوسف", "نور", "عمر"],
                &["الحسن", "خليل", "النجار", "حداد", "منصور", "العلي"],
            ),
        }
    }

    pub(super) const fn puts_family_first(self) -> bool {
        matches!(self, Self::Japanese)
    }

    /// The sentence, with `{who}` and `{what}` in it.
    const fn template(self, phrase: Phrase) -> &'static str {
        let [en, de, fr, es, ja, ar] = translations(phrase);
        match self {
            Self::English => en,
            Self::German => de,
            Self::French => fr,
            Self::Spanish => es,
            Self::Japanese => ja,
            Self::Arabic => ar,
        }
    }
}

/// In the order of [`Language::ALL`].
const fn translations(phrase: Phrase) -> [&'static str; 6] {
    match phrase {
        Phrase::Viewed => [
            "{who} looked at {what}",
            "{who} hat {what} geöffnet",
            "{who} a consulté {what}",
            "{who} consultó {what}",
            "{who}さんが{what}の内容を閲覧しました",
            "اطّلع {who} على {what}",
        ],
        Phrase::Created => [
            "{who} created {what}",
            "{who} hat {what} für den Kunden angelegt",
            "{who} a créé {what}",
            "{who} creó {what}",
            "{who}さんが{what}の登録を行いました",
            "أنشأ {who} العنصر {what}",
        ],
        Phrase::Changed => [
            "{who} changed {what}",
            "{who} hat {what} geändert",
            "{who} a modifié {what}",
            "{who} modificó {what}",
            "{who}さんが{what}の内容を変更しました",
            "عدّل {who} العنصر {what}",
        ],
        Phrase::Deleted => [
            "{who} deleted {what}",
            "{who} hat {what} gelöscht",
            "{who} a supprimé {what}",
            "{who} eliminó {what}",
            "{who}さんが{what}の削除を行いました",
            "حذف {who} العنصر {what}",
        ],
        Phrase::Approved => [
            "{who} approved {what}",
            "{who} hat {what} freigegeben, Prüfung abgeschlossen",
            "{who} a approuvé {what}",
            "{who} aprobó {what}",
            "{who}さんが{what}の承認をしました",
            "وافق {who} على الطلب {what}",
        ],
        Phrase::Exported => [
            "{who} downloaded all of {what}",
            "{who} hat {what} vollständig heruntergeladen",
            "{who} a téléchargé l'intégralité de {what}",
            "{who} descargó todo {what}",
            "{who}さんが{what}の全件をダウンロードしました",
            "نزّل {who} الملف {what} كاملاً",
        ],
        Phrase::SignedIn => [
            "{who} signed in",
            "{who} hat sich angemeldet",
            "{who} s'est connecté",
            "{who} inició sesión",
            "{who}さんがログインしました",
            "سجّل {who} الدخول",
        ],
        Phrase::SignInFailed => [
            "{who} could not sign in: wrong code",
            "Anmeldung von {who} gescheitert: ungültiger Code",
            "Échec de connexion pour {who} : code erroné",
            "{who} no pudo iniciar sesión: código erróneo",
            "{who}さんのログインに失敗しました（コードの誤り）",
            "تعذّر على {who} تسجيل الدخول: الرمز خاطئ",
        ],
        Phrase::Locked => [
            "The account of {who} was locked after too many attempts",
            "Das Konto von {who} wurde nach zu vielen Versuchen gesperrt",
            "Le compte de {who} a été bloqué après trop de tentatives",
            "La cuenta de {who} se bloqueó tras demasiados intentos",
            "試行回数の超過により{who}さんのアカウントをロックしました",
            "أُقفل الحساب الخاص بـ {who} بعد محاولات كثيرة",
        ],
        Phrase::RightsGranted => [
            "{who} made {what} an administrator",
            "{who} hat {what} zum Administrator gemacht",
            "{who} a nommé {what} administrateur",
            "{who} nombró administrador a {what}",
            "{who}さんが{what}の管理者権限を付与しました",
            "منح {who} صلاحيات المدير إلى {what}",
        ],
    }
}

/// The sentence about what somebody did to something.
pub(super) fn say(phrase: Phrase, language: Language, who: &str, what: &str, mark: &str) -> String {
    let template = language.template(phrase);
    let mut text = String::with_capacity(template.len() + who.len() + what.len() + mark.len());
    text.push_str(mark);
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (word, len) =
            if rest.starts_with("{who}") { (who, "{who}".len()) } else { (what, "{what}".len()) };
        text.push_str(word);
        rest = &rest[len..];
    }
    text.push_str(rest);
    text
}

/// What some put before it.
pub(super) fn emoji(severity: Severity, dice: &mut Dice) -> &'static str {
    let often = dice.happens(60);
    match severity {
        Severity::Critical => dice.one_of(&["🚨 ", "🔒 "]),
        Severity::Error if often => "❌ ",
        Severity::Warning if often => "⚠️ ",
        Severity::Info if often => dice.one_of(&["✅ ", "👩‍💻 ", "📄 "]),
        _ => "",
    }
}
