"""Mapping templates render as API Gateway renders them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.emulator.mapping_template import MappingTemplateError, Parameters, Rendering, render

BODY = {
    "text": 'it\'s "quoted" \\ / é😀\n',
    "number": 1,
    "float": 1.5,
    "yes": True,
    "nothing": None,
    "empty": "",
    "list": [1, {"a": None}, "x"],
    "map": {"a b": 1, "c": {"d": True}},
}
CONTEXT = {
    "requestId": "r-1",
    "requestTimeEpoch": 1700000000000,
    "identity": {"sourceIp": "192.0.2.1"},
    "authorizer": {"claims": {"sub": "s-1", "cognito:groups": "[agents admins]"}},
}
PARAMETERS = Parameters(
    path={"id": "path", "both": "path"},
    querystring={"q": "query", "both": "query"},
    header={"Idempotency-Key": "header", "both": "header"},
)


def rendering(template: str, body: str = json.dumps(BODY)) -> Rendering:
    return render(template, body=body, parameters=PARAMETERS, context=CONTEXT)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        # $input
        ("$input.body", json.dumps(BODY)),
        ("$input.json('$.text')", '"it\'s \\"quoted\\" \\\\ / é😀\\n"'),
        ("$input.json('$.list')", '[1,{"a":null},"x"]'),
        ("$input.json('$.nothing')", "null"),
        ("$input.json('$.missing')", '""'),
        ("$input.json('$.map[\"a b\"]') $input.json(\"$['map'].c\")", '1 {"d":true}'),
        ("$input.path('$.text')", BODY["text"]),
        ("$input.path('$.map.c.d') $input.path('$.float')", "true 1.5"),
        ("$input.path('$.list') $input.path('$.map.c')", '[1,{"a":null},"x"] {d=true}'),
        ("$input.path('$.list[1].a')|$input.path('$.missing.deep')|$input.path('$.list[9]')", "||"),
        ("$input.path('$').map.c.d", "true"),
        ("$input.params('id') $input.params('q') $input.params('Idempotency-Key')", "path query header"),
        ("$input.params('both')", "path"),
        ("[$input.params('idempotency-key')$input.params('ID')$input.params('Q')]", "[]"),
        ("[$input.params('missing')]", "[]"),
        # $context
        ("$context.requestId $context.requestTimeEpoch", "r-1 1700000000000"),
        ("${context.identity.sourceIp}/", "192.0.2.1/"),
        ("$context.authorizer.claims.sub", "s-1"),
        ("$context.authorizer.claims['cognito:groups']", "[agents admins]"),
        ("[$context.authorizer.claims]", "[]"),
        ("#set($claims = $context.authorizer.claims)[$claims.sub]", "[]"),
        ("[$context.authorizer.claims.email$context.authorizer.principalId$context.unknown.deep]", "[]"),
        # $util
        (
            "$util.escapeJavaScript($input.path('$.text'))",
            'it\\\'s \\"quoted\\" \\\\ \\/ \\u00E9\\uD83D\\uDE00\\n',
        ),
        ("$util.escapeJavaScript('\x1f\x7f\x80')", "\\u001F\x7f\\u0080"),
        ("[$util.escapeJavaScript($input.path('$.missing'))]", "[]"),
        # Literals and #set
        ("#set($x = 'it''s \\n $y')$x", "it's \\n $y"),
        ('#set($x = "say ""$context.requestId"" \\n")$x', 'say "r-1" \\n'),
        ('#set($x = "\\")$x', "\\"),
        ('#set($x = "$context.requestId\\")$x', "r-1\\"),
        ("#set($x = $input.path('$.missing'))[$x]", "[]"),
        ("#set($x = 'old')#set($x = $nothing)#set($x = $nothing.foo())$x", "old"),
        ("#set($x = {'a': [1, 2]})$x.a[1]", "2"),
        ("#set($m = $input.path('$.map'))#set($m.new = 3)$m.new", "3"),
        ("a\n#set($x = 1)\nb## comment\nc #* more *# d", "a\nb" + "c  d"),
        ('5$ $5 $ "$." # #1 {\\"a\\"}', '5$ $5 $ "$." # #1 {\\"a\\"}'),
        # Conditions
        ("#set($x = $input.path('$.missing'))#if($x && $x != \"\")yes#{else}no#end", "no"),
        ("#set($x = $input.path('$.empty'))#if($x && $x != \"\")yes#{else}no#end", "no"),
        ("#if($input.path('$.text').length() > 3 && $context.requestId)yes#end", "yes"),
        ("#if($nothing.length() > 3 || 1 > 2)yes#{else}no#end", "no"),
        ("#if('')yes#{else}no#end#if(!$nothing)yes#end", "yesyes"),
        ("#if($input.path('$.number') == '1')yes#end#if(1 == 1.0)yes#end#if($a == $b)yes#end", "yesyesyes"),
        ("#if(false)\na\n#else \nb\n#end\nc", "b\nc"),
        ("#if(1 > 2)a#elseif(2 >= 2 && !(3 < 2))b#{else}c#end", "b"),
        ("#if(1 + 2 * 3 == 7 && 7 - 2 - 1 == 4)yes#end", "yes"),
        ("#foreach($i in $input.path('$.list'))$foreach.index:$foreach.last;#end", "0:false;1:false;2:true;"),
        ("#foreach($i in [1..3])$i#end", "123"),
        # Java's methods
        ('#set($x = "a\\\'b\'c")$x.replaceAll("\\\\\'", "\'")', "a'b'c"),
        ("#set($x = 'a1b22')$x.replaceAll('([a-z])(\\d+)', '$2\\$1')", "1$122$1"),
        ("#set($x = 'a.b')$x.replaceAll('.', '-')", "---"),
        ("#set($x = 'abc')$x.matches('[a-c]+') $x.matches('b') $x.matches('^abc$')", "true false true"),
        ("#set($x = 'abc')$x.contains('bc') $x.startsWith('ab') $x.endsWith('x')", "true true false"),
        (
            "#set($x = 'aBc')$x.toLowerCase() $x.toUpperCase() $x.equals('aBc') $x.isEmpty()",
            "abc ABC true false",
        ),
        ("#set($x = '😀')$x.length()", "2"),
        ("#set($x = '\uff11')$x.matches('\\d')", "false"),
        ("[$nothing.foo().bar.baz()]", "[]"),
    ],
)
def test_a_template_renders_as_on_aws(template: str, text: str) -> None:
    assert rendering(template).text == text


@pytest.mark.parametrize(
    ("body", "text"), [("", '{} "" []'), ("not JSON", '"" "" []'), ('{"a":1}', '{"a":1} 1 [1]')]
)
def test_a_body_may_be_empty_or_not_json(body: str, text: str) -> None:
    assert rendering("$input.json('$') $input.json('$.a') [$input.path('$.a')]", body).text == text


def test_a_response_template_can_override_status_and_headers() -> None:
    rendered = rendering(
        "#set($context.responseOverride.status = 429)"
        "#set($context.responseOverride.header.Retry-After = 5)"
        "#set($context.responseOverride.header['X-Id'] = \"id $context.requestId\")ok"
    )
    assert rendered == Rendering("ok", 429, {"Retry-After": "5", "X-Id": "id r-1"})


def test_an_override_does_not_affect_the_next_rendering() -> None:
    rendering("#set($context.responseOverride.status = 429)#set($context.requestId = 'other')")
    assert rendering("$context.requestId") == Rendering("r-1", None, {})


@pytest.mark.parametrize("place", ["status", "header.Retry-After", "header['Retry-After']"])
def test_overriding_a_value_twice_is_an_error(place: str) -> None:
    override = f"#set($context.responseOverride.{place} = 429)"
    with pytest.raises(MappingTemplateError, match=r"\$context.responseOverride sets [\w-]+ twice"):
        rendering(override * 2)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("#if($x", "expected"),
        ("$input.path('$..a')", r"does not support the JSON path '\$\.\.a'"),
        ("$context.requestId.reverse()", r"does not support the method reverse\(\) of a str"),
        ("$context.requestId.upper()", r"does not support the method upper\(\) of a str"),
        ("$input.path('$.list').size()", r"does not support the method size\(\) of a list"),
        ("$util.urlEncode('a')", r"does not support the method urlEncode\(\) of a _Opaque"),
        ("$input.params()", "missing 1 required positional argument"),
    ],
)
def test_an_unsupported_template_is_an_error(template: str, reason: str) -> None:
    with pytest.raises(MappingTemplateError, match=reason):
        rendering(template)


FIELD = r"""
#set($x = $util.escapeJavaScript($input.json('$.x')).replaceAll("\\'", "'"))
"{\"x\":$x}"
"""
MARKUP = st.sampled_from(
    ["$input.body", "${x}", "#set($x=1)", "#end", "##", "\\'", "'", '"', "\\", "$", "@@", "]]>", "\n"]
)


@given(st.lists(st.one_of(st.text(), MARKUP)).map("".join))
def test_any_text_survives_json_within_json(text: str) -> None:
    rendered = rendering(FIELD, json.dumps({"x": text})).text
    assert json.loads(json.loads(rendered)) == {"x": text}
